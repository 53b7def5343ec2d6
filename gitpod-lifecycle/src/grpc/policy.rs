//! What one installation takes.

use std::collections::BTreeMap;

use super::error::Invalid;

/// What one installation takes.
///
/// [`Default`] suits a platform of local processes: no images, no classes, and
/// content that is empty or cloned. [`reference`](Self::reference) suits one that
/// does all that the reference system does.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Whether instances must name their images.
    pub images: Images,
    /// Which content it can put in place.
    pub initializers: Initializers,
    /// Classes of resources. If there are none, any name is taken and kept.
    pub classes: Vec<ResourceClass>,
    /// Which class clients should choose unless told otherwise.
    pub preferred_class: String,
}

impl Policy {
    /// As the reference system, with `classes`. One of them should be
    /// [`ResourceClass::DEFAULT`].
    #[must_use]
    pub fn reference(classes: Vec<ResourceClass>) -> Self {
        Self {
            images: Images::Required,
            initializers: Initializers::Any,
            classes,
            preferred_class: ResourceClass::DEFAULT.to_owned(),
        }
    }

    /// The class that an instance gets which asked for `wanted`.
    pub(super) fn class_of(&self, wanted: &str) -> Result<Option<&ResourceClass>, Invalid> {
        if self.classes.is_empty() {
            return Ok(None);
        }
        let find = |id: &str| self.classes.iter().find(|class| class.id == id);
        let class = find(wanted).or_else(|| find(ResourceClass::DEFAULT));
        class.map(Some).ok_or_else(|| {
            let known: Vec<&str> = self.classes.iter().map(|class| &*class.id).collect();
            let known = known.join(", ");
            Invalid::new("spec.class", format!("`{wanted}` is none of: {known}"))
        })
    }
}

/// Whether instances must name their images.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Images {
    /// They may: where runners have no images, the names are only kept.
    #[default]
    Optional,
    /// They must, as in the reference system.
    Required,
}

/// Which content an installation can put in place.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Initializers {
    /// None, or the clone of a repository without credentials: what
    /// [`ContentSource`](crate::ContentSource) can say. Others are refused.
    #[default]
    EmptyAndGit,
    /// All. What `ContentSource` cannot say is handed to the
    /// [`ContentStore`](crate::ContentStore) as it came, credentials included.
    Any,
}

/// A class of resources that instances can be asked for with.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ResourceClass {
    /// Its name in requests.
    pub id: String,
    /// Its name for people.
    pub display_name: String,
    /// What it offers.
    pub description: String,
    /// What it costs.
    pub credits_per_minute: f32,
    /// Most bytes of content; no limit if absent.
    pub storage_quota: Option<u64>,
    /// Annotations that its instances get, over those of their creators.
    pub annotations: BTreeMap<String, String>,
}

impl ResourceClass {
    /// The class of instances that ask for none, or for one that is not there.
    pub const DEFAULT: &'static str = "g1-standard";

    /// Class `id`, called `display_name`.
    #[must_use]
    pub fn new(id: impl Into<String>, display_name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            display_name: display_name.into(),
            ..Self::default()
        }
    }

    /// With `description`.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// At `credits` per minute.
    #[must_use]
    pub fn with_credits_per_minute(mut self, credits: f32) -> Self {
        self.credits_per_minute = credits;
        self
    }

    /// With content of at most `bytes`.
    #[must_use]
    pub fn with_storage_quota(mut self, bytes: u64) -> Self {
        self.storage_quota = Some(bytes);
        self
    }

    /// With an annotation for its instances.
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }
}
