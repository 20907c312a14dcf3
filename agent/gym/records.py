"""Files of records in the formats of real systems: web and system logs, accounts, JSON lines.

Every function draws from small pools, so that counting and filtering have interesting answers.
"""

from __future__ import annotations

import json
import random

from nimllm.agent.gym import contents, names

PATHS = ("/", "/index.html", "/login", "/logout", "/about", "/favicon.ico", "/robots.txt", "/admin", "/static/app.js",
         "/static/style.css", "/health", "/search", "/contact", "/wp-login.php", "/cart", "/checkout")
STATUSES = (200, 200, 200, 200, 301, 302, 304, 400, 401, 403, 404, 404, 500, 502, 503)
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", "Mozilla/5.0 (iPhone)", "Googlebot/2.1",
          "python-requests/2.31")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PROGRAMS = ("sshd", "cron", "systemd", "kernel", "sudo", "dhclient", "postfix", "nginx", "dockerd", "rsyslogd")
SHELLS = ("/bin/bash", "/bin/bash", "/bin/sh", "/bin/zsh", "/usr/sbin/nologin", "/usr/sbin/nologin", "/bin/false")
SERVICES = ("root", "daemon", "bin", "sys", "mail", "www-data", "backup", "nobody", "sshd", "postgres", "redis", "git")


def ip(rng: random.Random) -> str:
    return ".".join(str(rng.randint(1, 254)) for _ in range(4))


def route(rng: random.Random) -> str:
    """The path of a URL."""
    return rng.choice(PATHS) if rng.random() < 0.5 else f"/{names.word(rng)}" + rng.choice(
        ("", "", f"/{rng.randint(1, 99)}", f"/{names.word(rng)}", ".html"))


def web_log(rng: random.Random, lines: int) -> str:
    """Combined format of nginx and apache (fields: 1 address, 4 time, 6 method, 7 path, 9 status, 10 bytes)."""
    addresses = [ip(rng) for _ in range(max(2, lines // 4))]
    paths = [route(rng) for _ in range(max(3, lines // 3))]
    day, month, year, second = rng.randint(1, 28), rng.choice(MONTHS), rng.randint(2021, 2026), rng.randint(0, 60_000)
    whole, rows = rng.random() < 0.7, []
    for _ in range(lines):
        second += rng.randint(1, 700)
        clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        row = (f"{rng.choice(addresses)} - - [{day:02d}/{month}/{year}:{clock} +0000] "
               f'"{rng.choice(("GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD"))} {rng.choice(paths)} HTTP/1.1" '
               f"{rng.choice(STATUSES)} {rng.randint(0, 9999)}")
        rows.append(row + (f' "-" "{rng.choice(AGENTS)}"' if whole else ""))
    return "\n".join(rows) + "\n"


def system_log(rng: random.Random, lines: int) -> str:
    """``Mar  4 10:22:31 host program[pid]: message`` (fields: 3 time, 4 host, 5 program)."""
    month, day, second, host = rng.choice(MONTHS), rng.randint(1, 28), rng.randint(0, 60_000), names.word(rng)
    programs, rows = rng.sample(PROGRAMS, rng.randint(3, 5)), []
    for _ in range(lines):
        second += rng.randint(1, 600)
        clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        program = rng.choice(programs)
        rows.append(f"{month} {day:2d} {clock} {host} {program}[{rng.randint(100, 9999)}]: {contents.message(rng)}")
    return "\n".join(rows) + "\n"


def login_log(rng: random.Random, lines: int) -> str:
    """What sshd writes: accepted and failed logins."""
    month, day, second, host = rng.choice(MONTHS), rng.randint(1, 28), rng.randint(0, 60_000), names.word(rng)
    users = [*(rng.choice(names.FIRST).lower() for _ in range(3)), "root", "admin"]
    addresses, rows = [ip(rng) for _ in range(max(2, lines // 4))], []
    for _ in range(lines):
        second += rng.randint(1, 600)
        clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        user, address, port = rng.choice(users), rng.choice(addresses), rng.randint(30_000, 60_000)
        rows.append(f"{month} {day:2d} {clock} {host} sshd[{rng.randint(100, 9999)}]: " + rng.choice((
            f"Failed password for {user} from {address} port {port} ssh2",
            f"Failed password for {user} from {address} port {port} ssh2",
            f"Accepted publickey for {user} from {address} port {port} ssh2",
            f"Accepted password for {user} from {address} port {port} ssh2")))
    return "\n".join(rows) + "\n"


def pair_log(rng: random.Random, lines: int) -> str:
    """``time=... level=error user=anna action=login duration=31``."""
    users = [rng.choice(names.FIRST).lower() for _ in range(max(2, lines // 4))]
    actions = [rng.choice(names.VERBS) for _ in range(3)]
    day, second, rows = names.date(rng, 2021), rng.randint(0, 60_000), []
    for _ in range(lines):
        second += rng.randint(1, 600)
        clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        rows.append(f"time={day}T{clock} level={rng.choice(('info', 'info', 'debug', 'warn', 'error'))} "
                    f"user={rng.choice(users)} action={rng.choice(actions)} duration={rng.randint(1, 900)}")
    return "\n".join(rows) + "\n"


def object_log(rng: random.Random, lines: int) -> str:
    """One JSON object per line: ts, level, user, msg, ms."""
    users = [rng.choice(names.FIRST).lower() for _ in range(max(2, lines // 4))]
    day, second, rows = names.date(rng, 2021), rng.randint(0, 60_000), []
    for _ in range(lines):
        second += rng.randint(1, 600)
        clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        rows.append(json.dumps({"ts": f"{day}T{clock}", "level": rng.choice(("info", "info", "debug", "warn", "error")),
                                "user": rng.choice(users), "msg": contents.message(rng), "ms": rng.randint(1, 900)}))
    return "\n".join(rows) + "\n"


def bracket_log(rng: random.Random, lines: int) -> str:
    """``[2024-03-01 10:22:31] [WARN] message``."""
    day, second, rows = names.date(rng, 2021), rng.randint(0, 60_000), []
    for _ in range(lines):
        second += rng.randint(1, 600)
        clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        rows.append(f"[{day} {clock}] [{rng.choice(('INFO', 'INFO', 'DEBUG', 'WARN', 'ERROR', 'ERROR'))}] "
                    f"{contents.message(rng)}")
    return "\n".join(rows) + "\n"


def accounts(rng: random.Random, lines: int) -> str:
    """Lines of /etc/passwd."""
    rows, number = [], 1000
    people = rng.sample(names.FIRST, min(len(names.FIRST), max(2, lines - 3)))
    for at, service in enumerate(rng.sample(SERVICES, 3)):
        rows.append(f"{service}:x:{at}:{at}:{service}:/{rng.choice(('usr/sbin', 'var', 'root', 'bin'))}:"
                    f"{rng.choice(('/usr/sbin/nologin', '/bin/sh', '/bin/bash'))}")
    for person in people:
        user, number = person.lower(), number + rng.randint(1, 20)
        rows.append(f"{user}:x:{number}:{rng.choice((100, number))}:{person} {rng.choice(names.LAST)}:"
                    f"/{rng.choice(('home', 'home', 'srv', 'data'))}/{user}:{rng.choice(SHELLS)}")
    return "\n".join(rows) + "\n"


def groups(rng: random.Random, lines: int) -> str:
    """Lines of /etc/group, all with members."""
    people = [name.lower() for name in rng.sample(names.FIRST, 8)]
    found = list(dict.fromkeys(rng.choice((*SERVICES, *names.NOUNS)) for _ in range(lines)))
    return "".join(f"{group}:x:{100 + at}:{','.join(sorted(rng.sample(people, rng.randint(1, 4))))}\n"
                   for at, group in enumerate(found))


def any_log(rng: random.Random, lines: int) -> str:
    """A log in one of the formats."""
    return rng.choice((contents.log, bracket_log, web_log, system_log, login_log, pair_log))(rng, lines)
