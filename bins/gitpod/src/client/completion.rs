//! `gitpod completion` and `gitpod man`: what is made from the command line's own description.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::{Cli, CompletionArgs, ManArgs};
use crate::exit::Failure;
use crate::print;

/// Prints a script that completes commands.
pub(crate) fn completion(args: &CompletionArgs) -> Result<(), Failure> {
    let whole = Cli::command();
    let shown = whole.get_subcommands().filter(|it| !it.is_hide_set());
    // The generators would offer what is hidden as well.
    let mut command = clap::Command::new("gitpod")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .subcommands(shown.cloned());
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "gitpod", &mut script);
    print::to_stdout(|out| out.write_all(&script))
}

/// Prints the manual, or writes a page for each command.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &args.dir else {
        let page = page(&Man::new(command))
            .map_err(|why| Failure::failed("cannot make the manual").because(&why))?;
        return print::to_stdout(|out| out.write_all(page.as_bytes()));
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| write_pages(&command, dir))
        .map_err(|why| {
            Failure::failed(format!("cannot write pages into {}", dir.display()))
                .because(&why)
                .fix("name a directory that you may write to with --dir")
        })
}

/// Writes the page of `command`, and those of the commands below it.
fn write_pages(command: &clap::Command, dir: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        write_pages(below, dir)?;
    }
    let man = Man::new(command.clone());
    std::fs::write(dir.join(man.get_filename()), page(&man)?)
}

fn page(man: &Man) -> io::Result<String> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    let page = String::from_utf8(page).map_err(io::Error::other)?;
    // The renderer knows no section for what comes after the help.
    Ok(page
        .replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n.nf\n")
        .replace(".SH EXTRA\nExample:\n", ".SH EXAMPLE\n.nf\n")
        .replace("\n.SH VERSION", "\n.fi\n.SH VERSION"))
}
