//! The stages of routing, in order.
//!
//! | stage | takes | gives | refuses with |
//! | --- | --- | --- | --- |
//! | [`MeasureLayer`] | anything | the same | never |
//! | [`ExplainRefusalLayer`] | anything | the same | draws what the others refuse |
//! | [`OwnPathsLayer`] (optional) | `http::Request` | the same | answers 200, 301, 403 |
//! | [`ParseHostLayer`] | `http::Request` | `Routed<HostTarget>` | 400, 404 |
//! | [`LocateLayer`] | `Routed<HostTarget>` | `Routed<Located>` | 404, 503 |
//! | `SignInLayer` (feature `sign-in`) | `Routed<Located>` | the same | 403, 503; answers 303 |
//! | [`AuthorizeLayer`] | `Routed<Located>` | `Routed<Permit>` | 400, 401, 403, 503 |
//! | or `AdmitLayer` (feature `wake`) | `Routed<Located>` | `Routed<Admitted>` | 400, 401, 403 |
//! | and `WakeLayer` (feature `wake`) | `Routed<Admitted>` | `Routed<Permit>` | 413, 503; holds requests |
//! | [`ReportActivityLayer`] | `Routed<Permit>` | the same | never |
//! | `Forward` (feature `proxy`) | `Routed<Permit>` | a response | 400, 404, 502 |
//!
//! [`adapt`] puts any layer over `http::Request` between two of them.
//!
//! The compiler checks the order. This builds:
//!
//! ```
//! # use std::convert::Infallible;
//! # use gitpod_routing::{Permit, Routed, layers::*};
//! # use http::{Request, Response};
//! # use tower::{Service, ServiceBuilder};
//! # fn serve<S: Service<Request<()>>>(_: S) {}
//! # async fn leaf(_: Routed<Permit, ()>) -> Result<Response<()>, Infallible> { Ok(Response::new(())) }
//! # fn build(parse: ParseHostLayer, locate: LocateLayer, authorize: AuthorizeLayer) {
//! serve(ServiceBuilder::new().layer(parse).layer(locate).layer(authorize).service_fn(leaf));
//! # }
//! ```
//!
//! and this, with two layers swapped, does not:
//!
//! ```compile_fail
//! # use std::convert::Infallible;
//! # use gitpod_routing::{Permit, Routed, layers::*};
//! # use http::{Request, Response};
//! # use tower::{Service, ServiceBuilder};
//! # fn serve<S: Service<Request<()>>>(_: S) {}
//! # async fn leaf(_: Routed<Permit, ()>) -> Result<Response<()>, Infallible> { Ok(Response::new(())) }
//! # fn build(parse: ParseHostLayer, locate: LocateLayer, authorize: AuthorizeLayer) {
//! serve(ServiceBuilder::new().layer(parse).layer(authorize).layer(locate).service_fn(leaf));
//! # }
//! ```
#![cfg_attr(
    feature = "wake",
    doc = r"
What was admitted need not run, so [`WakeLayer`] has to stand behind [`AdmitLayer`]:

```
# use std::convert::Infallible;
# use gitpod_routing::{Permit, Routed, layers::*};
# use http::{Request, Response};
# use tower::{Service, ServiceBuilder};
# fn serve<S: Service<Request<()>>>(_: S) {}
# async fn leaf(_: Routed<Permit, ()>) -> Result<Response<()>, Infallible> { Ok(Response::new(())) }
# fn build(parse: ParseHostLayer, locate: LocateLayer, admit: AdmitLayer, wake: WakeLayer) {
serve(ServiceBuilder::new().layer(parse).layer(locate).layer(admit).layer(wake).service_fn(leaf));
# }
```

```compile_fail
# use std::convert::Infallible;
# use gitpod_routing::{Permit, Routed, layers::*};
# use http::{Request, Response};
# use tower::{Service, ServiceBuilder};
# fn serve<S: Service<Request<()>>>(_: S) {}
# async fn leaf(_: Routed<Permit, ()>) -> Result<Response<()>, Infallible> { Ok(Response::new(())) }
# fn build(parse: ParseHostLayer, locate: LocateLayer, admit: AdmitLayer, wake: WakeLayer) {
serve(ServiceBuilder::new().layer(parse).layer(locate).layer(admit).service_fn(leaf));
# }
```
"
)]

mod adapt;
#[cfg(feature = "wake")]
mod admit;
mod authorize;
mod explain_refusal;
mod future;
mod locate;
mod measure;
mod own_paths;
mod parse_host;
mod report_activity;
#[cfg(feature = "sign-in")]
mod sign_in;
#[cfg(feature = "wake")]
mod wake;

pub use self::adapt::{AdaptLayer, Adapted, AdaptedBody, AdaptedFuture, Recover, adapt};
#[cfg(feature = "wake")]
pub use self::admit::{Admit, AdmitLayer};
pub use self::authorize::{Authorize, AuthorizeLayer};
pub use self::explain_refusal::{
    ExplainRefusal, ExplainRefusalFuture, ExplainRefusalLayer, ExplainedBody,
};
pub use self::future::{StageFuture, WaitingFuture};
pub use self::locate::{Locate, LocateLayer, Located};
#[cfg(feature = "proxy")]
pub(crate) use self::measure::{Exchange, Served};
pub use self::measure::{Measure, MeasureFuture, MeasureLayer};
pub use self::own_paths::{OwnPaths, OwnPathsFuture, OwnPathsLayer};
pub use self::parse_host::{ParseHost, ParseHostLayer};
pub use self::report_activity::{ReportActivity, ReportActivityFuture, ReportActivityLayer};
#[cfg(feature = "sign-in")]
pub use self::sign_in::{SignIn, SignInLayer};
#[cfg(feature = "wake")]
pub use self::wake::{Wake, WakeLayer};
