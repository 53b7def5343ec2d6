//! Enums as numbers, and back. Numbers that are not known are kept.

use crate::grpc::generated::wsman;
use crate::status::update::{
    UpdateAdmission, UpdateBool, UpdateKind, UpdatePhase, UpdateProtocol, UpdateVisibility,
};

/// Makes the two directions between an enum of ours and its number.
macro_rules! numbered {
    ($ours:ident, $wire:ident: $($own:ident = $other:ident),+) => {
        impl From<$ours> for i32 {
            fn from(value: $ours) -> Self {
                match value {
                    $($ours::$own => wsman::$wire::$other.into(),)+
                    $ours::Other(number) => number,
                }
            }
        }

        impl From<i32> for $ours {
            fn from(number: i32) -> Self {
                match wsman::$wire::try_from(number) {
                    $(Ok(wsman::$wire::$other) => Self::$own,)+
                    Err(_) => Self::Other(number),
                }
            }
        }
    };
}

numbered!(UpdateKind, WorkspaceType: Regular = Regular, Prebuild = Prebuild, ImageBuild = Imagebuild);
numbered!(UpdateVisibility, PortVisibility: Private = Private, Public = Public);
numbered!(UpdateProtocol, PortProtocol: Http = Http, Https = Https);
numbered!(UpdateBool, WorkspaceConditionBool: False = False, True = True, Empty = Empty);
numbered!(UpdateAdmission, AdmissionLevel: OwnerOnly = AdmitOwnerOnly, Everyone = AdmitEveryone);
numbered!(
    UpdatePhase, WorkspacePhase:
    Unknown = Unknown, Pending = Pending, Creating = Creating, Initializing = Initializing,
    Running = Running, Stopping = Stopping, Stopped = Stopped, Interrupted = Interrupted
);
