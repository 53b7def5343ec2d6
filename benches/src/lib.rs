//! What the benchmarks measure with: workspaces by the million, and a workspace that is not
//! there.

mod null;

pub use self::null::{Nothing, Null, Stages, exchange, nothing, proxy, request, stages};

use gitpod_routing::{
    InstanceId, MemoryProvider, OwnerToken, PortInfo, WorkspaceId, WorkspaceInfo,
};

/// An error of any kind.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The id of workspace `number`: three words, as the reference makes them.
///
/// # Errors
///
/// If `number` has more than eleven digits.
pub fn id(number: u64) -> Result<WorkspaceId, Error> {
    let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_000_000;
    Ok(format!(
        "pink{}-panda-{noise:07}{:04}",
        number % 1000,
        number % 10_000
    )
    .parse()?)
}

/// Workspace `number`: running, with a token, an owner and two ports of its own.
///
/// # Errors
///
/// As [`id`].
pub fn workspace(number: u64) -> Result<WorkspaceInfo, Error> {
    let instance: InstanceId = format!("0f1e2d3c-0000-4000-8000-{number:012}").parse()?;
    let token = OwnerToken::new(format!("{number:032}"));
    let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | u32::try_from(number & 0x00ff_ffff)?);
    let mut info = WorkspaceInfo::new(id(number)?, instance, token)
        .running_at(address.into())
        .with_ports(vec![PortInfo::new(3000).public(), PortInfo::new(8080)]);
    // A string for each, though people keep a few workspaces: nobody has to share them.
    info.owner = format!("4b6f1c1e-5b7d-4e1a-9c44-{number:012}").into();
    Ok(info)
}

/// `count` workspaces in memory.
///
/// # Errors
///
/// As [`id`].
pub fn workspaces(count: u64) -> Result<MemoryProvider, Error> {
    let provider = MemoryProvider::new();
    for number in 0..count {
        provider.insert(workspace(number)?);
    }
    Ok(provider)
}
