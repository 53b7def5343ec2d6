//! What an installation allows.

use http::{Method, Request};

use crate::access::origin::OwnPages;
use crate::access::{Access, CookieNames, Denied, Presented, Source, decide, is_public};
use crate::host::{HostPattern, Scheme};
use crate::layers::Located;
use crate::service::{self, WorkspaceService};

/// Decides who may use what, for [`AuthorizeLayer`](crate::layers::AuthorizeLayer).
///
/// Refuses by default: without the owner's token nothing of a private workspace is
/// reachable but its public ports. Whoever a workspace admits as a whole, be it everyone or
/// visitors of a share, may read the page of its supervisor: state, ports, tasks and what
/// they print, which an editor would show as well. It does nothing else for them. A connection that stays
/// open, to the editor or the supervisor, is refused to web pages of other origins, and so is
/// what they ask for with the cookies of who looks at them; that people follow links is well.
#[derive(Clone, Debug)]
pub struct AccessPolicy {
    pattern: HostPattern,
    installation: Box<str>,
    cookies: CookieNames,
    status_routes: Routes,
    frontend: Routes,
    sharing: Sharing,
    origins: Origins,
    public: Option<(Scheme, u16)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Routes {
    NeedToken,
    Open,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sharing {
    EditorAndPorts,
    Everything,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origins {
    OfEditorChecked,
    OfPortsToo,
    Ignored,
}

impl AccessPolicy {
    /// For workspaces under `pattern` of the installation at host `installation`.
    ///
    /// The installation's host gives the cookies their names, and its pages may connect
    /// to every editor.
    #[must_use]
    pub fn new(pattern: HostPattern, installation: &str) -> Self {
        let host = installation
            .split_once(':')
            .map_or(installation, |(name, _port)| name);
        Self {
            pattern,
            installation: host.into(),
            cookies: CookieNames::new(host),
            status_routes: Routes::NeedToken,
            frontend: Routes::NeedToken,
            sharing: Sharing::EditorAndPorts,
            origins: Origins::OfEditorChecked,
            public: None,
        }
    }

    /// Keeps back the cookies that `cookies` names, in the place of those of the installation.
    #[must_use]
    pub fn with_cookies(mut self, cookies: CookieNames) -> Self {
        self.cookies = cookies;
        self
    }

    /// Answers `GET` of `/_supervisor/v1/status/supervisor` and `…/ide` without a token, so
    /// that a start page can poll them. Whole path segments count.
    #[must_use]
    pub fn with_open_status_routes(mut self) -> Self {
        self.status_routes = Routes::Open;
        self
    }

    /// Answers what is below `/_supervisor/frontend` without a token: static files, the same
    /// for everyone, that a start page loads.
    #[must_use]
    pub fn with_open_frontend(mut self) -> Self {
        self.frontend = Routes::Open;
        self
    }

    /// Opens the whole supervisor of a shared workspace to everyone, as the reference does.
    #[must_use]
    pub fn with_shared_supervisor(mut self) -> Self {
        self.sharing = Sharing::Everything;
        self
    }

    /// Takes a page for one of ours only at `scheme` and `port`, where clients come to, or at
    /// the port that its request names. Without this every scheme and port will do.
    ///
    /// [`WorkspaceProxy`](crate::WorkspaceProxy) knows it from
    /// [`ForwardOptions`](crate::ForwardOptions), if it was told there.
    #[must_use]
    pub fn with_public_address(mut self, scheme: Scheme, port: u16) -> Self {
        self.public = Some((scheme, port));
        self
    }

    /// Refuses pages of other origins on ports as well.
    #[must_use]
    pub fn with_origin_check_on_ports(mut self) -> Self {
        self.origins = Origins::OfPortsToo;
        self
    }

    /// Lets pages of every origin connect, as the reference does. Not for installations
    /// where workspaces of several people share a domain.
    #[must_use]
    pub fn without_origin_check(mut self) -> Self {
        self.origins = Origins::Ignored;
        self
    }

    #[cfg(feature = "proxy")]
    pub(crate) fn knows_public_address(&self) -> bool {
        self.public.is_some()
    }

    /// The cookies that are kept back.
    #[must_use]
    pub fn cookies(&self) -> &CookieNames {
        &self.cookies
    }

    /// Decides on one request.
    ///
    /// # Errors
    ///
    /// [`Denied`] if it may not go on.
    pub fn check<B>(
        &self,
        located: &Located,
        service: WorkspaceService,
        request: &Request<B>,
    ) -> Result<Access, Denied> {
        if self.is_open_route(service, request) {
            return Ok(Access::Anonymous);
        }
        let info = &located.info;
        let presented = Presented::find(request.headers(), &self.cookies, &info.instance);
        let access = match decide(info, located.target.endpoint, &presented) {
            Ok(Access::Owner) => Access::Owner,
            _ if located.is_returning_owner => Access::Owner,
            decided => self.of_visitor(located, service, request, decided)?,
        };
        if presented.source() == Source::Header || !self.checks_origin_of(service) {
            return Ok(access);
        }
        let pages = self.own_pages(located);
        if service::is_upgrade(request) {
            return match pages.may_connect(request.headers()) {
                true => Ok(access),
                false => Err(Denied::ForeignOrigin),
            };
        }
        if access == Access::Anonymous || pages.may_use_cookies(request) {
            return Ok(access);
        }
        // As if it had sent none.
        match is_public(info, located.target.endpoint) && self.shows_to_everyone(service, request) {
            true => Ok(Access::Anonymous),
            false => Err(Denied::ForeignOrigin),
        }
    }

    /// What is open to everyone stays so for visitors of a share, whatever becomes of it.
    fn of_visitor<B>(
        &self,
        located: &Located,
        service: WorkspaceService,
        request: &Request<B>,
        decided: Result<Access, Denied>,
    ) -> Result<Access, Denied> {
        let visited = || {
            located
                .visitor
                .as_ref()
                .map(|share| Access::Shared(share.id))
        };
        match decided.as_ref().ok().copied().or_else(visited) {
            Some(access) if self.shows_to_everyone(service, request) => Ok(access),
            Some(_) => Err(Denied::NoToken),
            None if located.unchecked_visitor => Err(Denied::UncheckedShare),
            None => decided,
        }
    }

    fn is_open_route<B>(&self, service: WorkspaceService, request: &Request<B>) -> bool {
        let path = request.uri().path();
        let status = || STATUS_OF_START.iter().any(|route| below(route, path));
        service == WorkspaceService::Supervisor
            && is_reading(request)
            && (self.status_routes == Routes::Open && status()
                || self.frontend == Routes::Open && below(FRONTEND, path))
    }

    fn shows_to_everyone<B>(&self, service: WorkspaceService, request: &Request<B>) -> bool {
        service != WorkspaceService::Supervisor
            || self.sharing == Sharing::Everything
            || (is_reading(request) && is_of_page(request.uri().path()))
    }

    fn checks_origin_of(&self, service: WorkspaceService) -> bool {
        match (self.origins, service) {
            (Origins::Ignored, _) => false,
            (Origins::OfEditorChecked, WorkspaceService::Port(_)) => false,
            (Origins::OfEditorChecked | Origins::OfPortsToo, _) => true,
        }
    }

    fn own_pages<'p>(&'p self, located: &'p Located) -> OwnPages<'p> {
        OwnPages {
            pattern: &self.pattern,
            installation: &self.installation,
            workspace: &located.target.workspace,
            public: self.public,
        }
    }
}

fn is_reading<B>(request: &Request<B>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && !service::is_upgrade(request)
}

/// Whether `path`, taken literally, is `route` or lies below it. A path with dots, doubled
/// slashes or escapes is not taken for one: servers disagree on what it means.
fn below(route: &str, path: &str) -> bool {
    let literal = !path.contains('%') && !path.contains("//") && !path.contains("/.");
    let rest = path.strip_prefix(route);
    literal && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `path` is the supervisor's page or something that the page reads.
fn is_of_page(path: &str) -> bool {
    PAGE.contains(&path) || READ_BY_PAGE.iter().any(|route| below(route, path))
}

const PAGE: [&str; 2] = ["/_supervisor", "/_supervisor/"];
const READ_BY_PAGE: [&str; 4] = [
    "/_supervisor/static",
    "/_supervisor/v1/events",
    "/_supervisor/v1/status",
    "/_supervisor/v1/tasks",
];
const FRONTEND: &str = "/_supervisor/frontend";
const STATUS_OF_START: [&str; 2] = [
    "/_supervisor/v1/status/supervisor",
    "/_supervisor/v1/status/ide",
];
