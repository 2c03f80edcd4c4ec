"""`review user`: who may sign in at the server."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from inspection.commands.options import add_path, new_parser


def parser() -> ArgumentParser:
    """The parser of the command, to which `add_commands` adds what it does."""
    return ArgumentParser(
        description="Those who sign in with name and password at defect-inspect serve --users "
        "FILE. A running server takes changes in at once."
    )


def add_commands(whole: ArgumentParser) -> None:
    """Add a subcommand per act (dest `act`)."""
    acts = whole.add_subcommands(required=True, dest="act")
    for act, help_text in (
        ("add", "add a user, or give one another password or role"),
        ("list", "print role and name of each"),
        ("remove", "remove a user; the sessions end at once"),
    ):
        own = new_parser(f"{help_text[0].upper()}{help_text[1:]}.")
        own.add_argument("--users", type=Path, required=True, help="file of users, JSON or .yaml")
        if act != "list":
            own.add_argument("name", type=str, help="name, as decisions show it")
        if act == "add":
            own.add_argument(
                "--role",
                type=str,
                choices=("reviewer", "viewer"),
                default="reviewer",
                help="a reviewer decides, a viewer reads",
            )
            add_path(
                own, "--password-file", "text file with the password; without, it is asked for"
            )
        acts.add_subcommand(act, own, help=help_text)


def run(arguments: Namespace) -> int:
    """Do it; one line per user on stdout."""
    from inspection.review.errors import UsersError
    from inspection.review.users import User, change_users, check_name, hashed, read_users

    act = arguments.act
    given = arguments[act]
    file: Path = given.users
    if act == "list":
        for known, user in sorted(read_users(file).items()):
            print(f"{user.role:9} {known}")
        return 0
    name: str = given.name

    def remove(users: dict[str, User]) -> None:
        if users.pop(name, None) is None:
            known = ", ".join(sorted(users)) or "nobody"
            raise UsersError(f"{file}: no user {name!a}; it has {known}")

    if act == "remove":
        change_users(file, remove)
        print(f"{file}: {name} removed")
        return 0
    check_name(name)
    if file.exists():
        read_users(file)  # before anybody types a password for nothing
    user = User(given.role, hashed(_password(given.password_file)))
    change_users(file, lambda users: users.update({name: user}))
    print(f"{file}: {name} is a {given.role}")
    return 0


def _password(file: Path | None) -> str:
    from getpass import getpass

    from inspection.review.errors import UsersError

    if file is not None:
        try:
            return file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsersError(
                f"{file}: cannot be read; --password-file takes a text file"
            ) from error
    try:
        password = getpass("Password: ")
        if getpass("Again: ") != password:
            raise UsersError("the two passwords differ; run this again")
    except EOFError as error:
        raise UsersError("no password was typed; give it with --password-file") from error
    return password
