"""The command line: finds the command or job in the words, turns errors into exit codes. It may
import all below it."""
