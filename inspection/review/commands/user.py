"""`review user`: who may sign in at the server."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from inspection.commands.options import add_path


def parser() -> ArgumentParser:
    """Options of the command."""
    made = ArgumentParser(
        description="Add, list or remove those who sign in with name and password at "
        "`defect-inspect serve --users FILE`. A running server takes changes in at once."
    )
    made.add_argument("act", choices=("add", "list", "remove"), help="what to do")
    made.add_argument("name", type=str, nargs="?", default="", help="name, as decisions show it")
    made.add_argument("--users", type=Path, required=True, help="file of users, JSON or .yaml")
    made.add_argument(
        "--role",
        type=str,
        choices=("reviewer", "viewer"),
        default="reviewer",
        help="a reviewer decides, a viewer reads",
    )
    add_path(made, "--password-file", "text file with the password, instead of asking for it twice")
    return made


def run(arguments: Namespace) -> int:
    """Do it; one line per user on stdout."""
    from inspection.review.errors import UsersError
    from inspection.review.users import User, change_users, check_name, hashed, read_users

    file, name = arguments.users, arguments.name
    if arguments.act == "list":
        if name:
            raise UsersError("list takes no name")
        for known, user in sorted(read_users(file).items()):
            print(f"{user.role:9} {known}")
        return 0
    if not name:
        raise UsersError(f"{arguments.act} needs a name, as: {arguments.act} 'A. Lovelace'")

    def remove(users: dict[str, User]) -> None:
        if users.pop(name, None) is None:
            known = ", ".join(sorted(users)) or "nobody"
            raise UsersError(f"{file}: no user {name!a}; it has {known}")

    if arguments.act == "remove":
        change_users(file, remove)
        print(f"{file}: {name} removed")
        return 0
    check_name(name)
    if file.exists():
        read_users(file)  # before anybody types a password for nothing
    user = User(arguments.role, hashed(_password(arguments.password_file)))
    change_users(file, lambda users: users.update({name: user}))
    print(f"{file}: {name} is a {arguments.role}")
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
