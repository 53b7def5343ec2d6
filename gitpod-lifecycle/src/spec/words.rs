//! How records write types that belong to routing.

/// Instance ids as text.
pub(crate) mod instance {
    use gitpod_routing::InstanceId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(id: &InstanceId, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(id.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<InstanceId, D::Error> {
        let text = String::deserialize(from)?;
        text.parse()
            .map_err(|_| D::Error::custom(format_args!("`{text}` is not an instance id")))
    }
}

/// Makes the serde module of an enum of two variants that routing owns.
macro_rules! two_words {
    ($(#[$doc:meta])* $module:ident, $type:ident, $first:ident = $first_word:literal, $second:ident = $second_word:literal) => {
        $(#[$doc])*
        pub(crate) mod $module {
            use gitpod_routing::$type;
            use serde::{Deserialize, Deserializer, Serializer, de::Error};

            pub(crate) fn default() -> $type {
                $type::$first
            }

            pub(crate) fn serialize<S: Serializer>(value: &$type, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(if *value == $type::$second { $second_word } else { $first_word })
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                let text = String::deserialize(from)?;
                match text.as_str() {
                    $first_word => Ok($type::$first),
                    $second_word => Ok($type::$second),
                    _ => Err(D::Error::unknown_variant(&text, &[$first_word, $second_word])),
                }
            }
        }
    };
}

two_words!(
    /// Who may use a workspace.
    admission, Admission, Owner = "Owner", Everyone = "Everyone"
);
two_words!(
    /// Who may use a port.
    visibility, Visibility, Private = "Owner", Public = "Everyone"
);
two_words!(
    /// What a port speaks.
    protocol, Protocol, Http = "Http", Https = "Https"
);
