//! `gitpod completion` and `gitpod man`: what is made from the command line's own description.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionArgs, ManArgs};
use crate::exit::Failure;
use crate::print;

/// Prints a script that completes commands.
pub(crate) fn completion(args: &CompletionArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gitpod", &mut script);
    print::to_stdout(|out| out.write_all(&script))
}

/// Prints the manual, or writes a page for each command.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let command = Cli::command();
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|why| Failure::failed("cannot make the manual").because(&why))?;
        return print::to_stdout(|out| out.write_all(&page));
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .map_err(|why| {
            Failure::failed(format!("cannot write pages into {}", dir.display()))
                .because(&why)
                .fix("name a directory that you may write to with --dir")
        })
}
