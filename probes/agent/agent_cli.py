"""The command `towpath-agent`: settings, one command, its exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from probes.agent.agent_parser import make_parser
from probes.agent.exit_codes import OK, WRONG_USAGE, print_error
from probes.agent.measure_commands import run_agent
from probes.agent.settings import BadSettings, ignored_files, settings_file
from probes.agent.settings_layers import load_settings, log_folder
from probes.wire.display import guard_terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    if arguments is None:
        guard_terminal()
    options = make_parser().parse_args(arguments)
    # Only the agent's own user may read what it keeps, whatever the umask.
    os.umask(0o077)
    try:
        loaded = load_settings(options.config, os.environ)
        options.file, options.origins = settings_file(options.config), loaded.origins
        options.ignored = [] if options.config else ignored_files()
        if options.run is not run_agent:
            from probes.agent.agent_log import start_console_log

            start_console_log()
            for sentence in options.ignored:
                print_error(sentence)
        code = int(options.run(options, loaded.settings))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BadSettings as error:
        say = print_error
        if options.run is run_agent:
            from probes.agent.agent_log import log_error as say
            from probes.agent.agent_log import start_log

            start_log(log_folder())
        for problem in error.problems:
            say(problem)
        return WRONG_USAGE
    except OSError as error:
        if not reader_has_gone(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return 130


def reader_has_gone(error: OSError, platform: str = sys.platform) -> bool:
    """True if nobody reads the output any more (`| head`), which is no error. Windows
    says so in two ways."""
    return isinstance(error, BrokenPipeError) or (
        platform == "win32" and error.errno == errno.EINVAL
    )


if __name__ == "__main__":
    sys.exit(main())
