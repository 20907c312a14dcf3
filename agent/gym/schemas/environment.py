"""Variables, users, the machine and its limits, and the calendar."""

from __future__ import annotations

import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, schema
from nimllm.agent.gym.schemas.registers import ask
from nimllm.agent.gym.schemas.subjects import volatile
from nimllm.agent.gym.worlds import World

_VARIABLES = ("HOME", "PATH", "USER", "SHELL", "LANG", "TERM", "EDITOR", "PAGER", "LOGNAME", "LC_ALL", "TZ", "PWD")


@schema("env.print", "printenv", weight=1.0)
def print_variable(world: World, rng: random.Random) -> Draft:
    name = rng.choice(_VARIABLES)
    return volatile(ask(rng, """
        printenv {v}
        use printenv to (show|print|get) {v}
        (show|print) the environment variable {v} with printenv
        printenv for {v}
        what does printenv say (about|for) {v}?
        """, f"printenv {name}", f"show the variable {name}", None, True, v=name))


@schema("env.path_lines", "echo tr", weight=1.1)
def path_lines(world: World, rng: random.Random) -> Draft:
    at = rng.random()
    if at < 0.6:
        return volatile(ask(rng, """
            (show|print|list) (the|my|) PATH, one (<dir>|entry) per line
            (show|list|print) the <dirs> (in|of|on) (my|the|) PATH (, one per line|)
            PATH (with one entry per line|one per line|split into lines)
            (which|what) <dirs> are (in|on) (my|the) PATH?
            <want> my PATH readable, one (<dir>|entry) per line
            split PATH at the colons
            where does the shell look for programs? (one <dir> per line|list the <dirs>)
            """, "echo \"$PATH\" | tr ':' '\\n'", "list the entries of PATH", None, True))
    return volatile(ask(rng, """
        how many <dirs> are (in|on) (my|the|) PATH?
        count the (<dirs>|entries) (in|of|on) PATH
        number of (entries|<dirs>) in (my|the|) PATH
        how many entries does PATH have?
        """, "echo \"$PATH\" | tr ':' '\\n' | wc -l", "count the entries of PATH", "There are {output}."))


@schema("env.search", "env grep", weight=0.8)
def search(world: World, rng: random.Random) -> Draft:
    at = rng.random()
    if at < 0.4:
        part = rng.choice(("GIT", "LC_", "PYTHON", "LANG", "PAGER", "HOME"))
        return volatile(ask(rng, """
            (which|what) environment variables (start|begin) with {v}?
            <list> (all|the|) environment variables (starting|beginning) with {v}
            environment variables (starting|that start) with {v}
            grep the environment for (variables|names) (starting|beginning) with {v}
            """, f"env | grep '^{part}'", f"find variables starting with {part}", v=part))
    if at < 0.7:
        return volatile(ask(rng, """
            how many environment variables are (set|there)?
            count the environment variables
            number of environment variables
            <want> the number of environment variables <num>
            """, "env | wc -l", "count the variables", "There are {output}."))
    return volatile(ask(rng, """
        <list> (all|the|) environment variables (, sorted|in alphabetical order|, sorted by name)
        sorted (list of the|) environment (variables|)
        env, sorted
        (my|the) environment in alphabetical order
        """, "env | sort", "list the variables sorted", None, True))


@schema("env.set_run", "export", weight=0.8)
def set_run(world: World, rng: random.Random) -> Draft:
    """One command with a variable set for it."""
    name = names.word(rng).upper().replace("-", "_")
    value = rng.choice((names.word(rng), str(rng.randint(1, 9999)), f"{names.word(rng)}-{rng.randint(1, 9)}"))
    at = rng.random()
    if at < 0.4:
        return ask(rng, """
            set {n} to {v} and (print|echo|show) it (in one command|in one line|)
            export {n}={v} and (echo|print) it
            (define|set) the (environment|) variable {n} as {v}, then (print|show) its value (, one line|)
            {n}={v}: set it and echo it
            export {n} with the value {v} and show (it|that it is set)
            """, f"export {name}={value}; echo \"${name}\"", f"set {name} and print it", None, True, n=name, v=value)
    if at < 0.7:
        return ask(rng, """
            run (env|printenv) {n} with {n} set to {v} (only for that command|just for this call|)
            print {n} from a (bash|child bash|subshell) started with {n}={v}
            start (bash|a bash) with {n}={v} and let it echo {n}
            with {n}={v} only for one command, (print|show) {n} in a child bash
            """.replace("run (env|printenv) {n} with {n} set to {v} (only for that command|just for this call|)",
            "run a child bash that echoes {n}, with {n} set to {v} only for it"),
            f"{name}={value} bash -c 'echo ${name}'", f"run bash with {name} set", None, True, n=name, v=value)
    default = names.word(rng)
    return ask(rng, """
        print {n}, or {d} if it is not set
        (show|echo) the value of {n} with {d} as (the|a) default
        echo {n}; when it is unset, {d}
        (print|echo) the variable {n}, default {d}
        use parameter expansion to print {n} with the default {d}
        """, f'echo "${{{name}:-{default}}}"', f"print {name} or {default}", None, True, n=name, d=default)


@schema("user.ids", "id", weight=1.1)
def ids(world: World, rng: random.Random) -> Draft:
    command, plan, block = rng.choice((
        ("id -u", "show the user id", """
            what is my (user id|uid|UID|numeric user id)?
            <show> my (user id|uid|UID)
            my (uid|user id) (as a number|)
            (number of my user|numeric user id)
            (am I root?|what user id do I have?) (print|show) (my|the) uid
            """), ("id -un", "show the user name", """
            my user name (with|from|by) id
            use id to (print|show) (my|the) (user name|user's name)
            id: just the (user name|name of the user)
            """), ("id -g", "show the group id", """
            what is my (group id|gid|GID|primary group id)?
            <show> my (group id|gid|primary gid)
            my (gid|group id) (as a number|)
            """), ("id -gn", "show the group", """
            what is my (primary|main) group (called|'s name|)?
            <show> the name of my (primary|main|) group
            name of my (primary|main) group
            """), ("groups", "show the groups", """
            (which|what) groups am I (in|a member of)?
            <list> (my|the) groups (of my user|)
            which groups do I belong to?
            groups (of my user|)
            am I in the docker group? (list|show) my groups
            """), ("id", "show user and groups", """
            <show> my (user and group ids|user id and groups|ids)
            id
            uid, gid and groups of my user
            who am I, with (uid and groups|all ids)?
            """)))
    return volatile(ask(rng, block.replace("(called|'s name|)", "(called|)"), command, plan))


@schema("user.accounts", "cut getent grep", weight=1.1)
def accounts(world: World, rng: random.Random) -> Draft:
    who = rng.choice(("root", "root", "root"))
    command, plan, block = rng.choice((
        ("cut -d: -f1 /etc/passwd", "list the users", """
            <list> (all|the|all the) users (of this machine|of this system|on this system|from /etc/passwd)
            (which|what) users (exist|are there) (on this machine|)?
            (user names|users|accounts) in /etc/passwd
            names of all (accounts|users) (here|on this machine)
            (print|cut) the first field of /etc/passwd
            """), ("wc -l < /etc/passwd", "count the users", """
            how many (users|accounts) (exist|are there) (on this machine|in /etc/passwd)?
            count the (users|accounts) (in /etc/passwd|of this machine)
            number of (accounts|users) on this (machine|system)
            """), ("cat /etc/shells", "list the shells", """
            (which|what) shells are (available|allowed|installed|listed in /etc/shells)?
            <list> (all|the|) (available|valid|login) shells
            (available|valid) shells (on this machine|)
            cat /etc/shells
            """), (f"getent passwd {who} | cut -d: -f7", f"show the shell of {who}", """
            (which|what) (login shell|shell) does {u} (have|use)?
            <show> the (login|) shell of (the user|) {u}
            login shell of {u}
            """), (f"getent passwd {who} | cut -d: -f6", f"show the home of {who}", """
            what is the home (<dir>) of (the user|) {u}?
            <show> the home (<dir>) of (the user|) {u}
            home (<dir>) of {u}
            where is the home of {u}?
            """), (f"getent passwd {who}", f"show the entry of {who}", """
            <show> the passwd (entry|line) of {u}
            getent passwd {u}
            (entry|line) of {u} in /etc/passwd
            account details of {u}
            """), ("cut -d: -f1,7 /etc/passwd", "list users and shells", """
            <list> (all|the) users with their (login|) (shell|shells)
            users and their (login|) shells (from /etc/passwd|)
            (which|what) user has which (login|) shell?
            """), ("cut -d: -f1 /etc/group", "list the groups", """
            <list> (all|the) groups (of|on) this (machine|system)
            (which|what) groups (exist|are there) (on this machine|on this system)?
            group names (from|in) /etc/group
            """)))
    return volatile(ask(rng, block, command, plan, None, True, **({"u": who} if "{u}" in block else {})))


@schema("system.facts", "uname nproc", weight=1.6)
def facts(world: World, rng: random.Random) -> Draft:
    command, plan, block = rng.choice((
        ("uname -m", "show the architecture", """
            (which|what) (architecture|CPU architecture|machine type) is this?
            <show> the (machine|CPU|processor|) architecture
            is this (x86_64 or arm|an ARM machine|64 bit)?
            architecture of this (machine|computer|box)
            """), ("uname -a", "show all about the kernel", """
            <show> (everything|all) uname (knows|prints|has to say)
            uname -a
            full (kernel|system) information (of this machine|)
            all system information from uname
            """), ("uname -sr", "show kernel name and release", """
            <show> (the|) kernel name and (release|version)
            kernel name and (release|version)
            which kernel, with its (release|version), (is running|do we run)?
            """), ("nproc", "count the processors", """
            how many (CPUs|cores|processors|CPU cores) (has this machine|does this box have|can I use)?
            (number of|how many) (available|) (cores|CPUs)
            cores <here>, just the number
            <want> the number of (CPUs|cores) (for make -j|)
            """.replace("cores <here>, just the number", "core count, just the number")),
        ("grep ^PRETTY_NAME= /etc/os-release | cut -d '\"' -f 2", "show the system's name", """
            (which|what) (distribution|distro|linux distribution) (is this|do we run|am I on)? (full name|with version)
            (name|pretty name) (of the|) (distribution|distro|operating system) from /etc/os-release
            <show> the (distribution|distro) (name and version|with its version)
            is this (debian|ubuntu|fedora)? (which version|name and version please)
            linux distribution and version
            """), ("cat /etc/os-release", "show the system's release", """
            <show> /etc/os-release
            cat /etc/os-release
            (all|the) details (of|about) the (distribution|operating system)
            os-release (information|file)
            """), ("bash --version | head -n 1", "show the version of bash", """
            (which|what) version of bash (is this|do we have|is installed)? (one line|only the first line)
            bash version, (first line only|one line|in one line)
            <show> the first line of bash --version
            """), ("echo $BASH_VERSION", "show the version of bash", """
            <show> (the variable|) BASH_VERSION
            bash version (number|) from (its|the) variable
            (which|what) bash (version|) am I (in|running|using)? (number only|just the number|only the version number)
            """), ("echo $SHELL", "show the shell", """
            (which|what) shell (am I using|do I use|is my default|is my login shell)?
            <show> my (login|default|) shell
            my (default|login) shell
            value of SHELL
            """), ("echo $HOME", "show the home folder", """
            (where|what) is my home (<dir>)?
            <show> my home (<dir>)
            path of my home (<dir>)
            where do I live in this file system?
            """.replace("(where|what) is", "where is")), ("locale", "show the locale", """
            (which|what) locale is (set|in use|active)?
            <show> the (locale|current locale|locale settings)
            locale settings
            (my|the) locale (settings|variables|)
            """), ("cat /proc/version", "show the kernel's version text", """
            <show> /proc/version
            with which compiler was the kernel built? (see /proc/version|)
            cat /proc/version
            """), ("hostname", "show the host name", """
            (name|hostname) of this (box|host|server|machine)
            (which|what) (box|host|server) am I on?
            <show> the host name (of this box|)
            host name please
            """)))
    return volatile(ask(rng, block, command, plan, None, True))


@schema("system.limits", "ulimit", weight=0.8)
def limits(world: World, rng: random.Random) -> Draft:
    option, plan, block = rng.choice((
        ("-n", "show the limit of open files", """
            how many files (can|may) I (have|keep) open (at once|)?
            (limit|maximum number) of open (files|file descriptors)
            <show> the (limit of|maximum number of) open (files|file descriptors)
            open files limit
            ulimit for open files
            """), ("-u", "show the limit of processes", """
            how many processes (can|may) I (start|run|have) (at once|)?
            (limit|maximum number) of (user|my) processes
            <show> the limit of (user|) processes
            ulimit for processes
            """), ("-a", "show all limits", """
            <show> all (limits|ulimits|resource limits) (of this shell|)
            (which|what) limits (apply|are set) (here|in this shell|)?
            ulimit -a
            all (resource|shell) limits
            """), ("-s", "show the stack limit", """
            how large (can|may) the stack (be|get)?
            (stack size|stack) limit
            <show> the (limit of the stack|stack size limit)
            """)))
    return volatile(ask(rng, block, f"ulimit {option}", plan))


@schema("system.memory_part", "free awk uptime", weight=1.0)
def memory_part(world: World, rng: random.Random) -> Draft:
    command, plan, block = rng.choice((
        ("free -m", "show the memory in megabytes", """
            (memory|RAM) in (megabytes|MB)
            <show> the (free|used|) (memory|RAM) in (megabytes|MB)
            how many megabytes of (memory|RAM) (are|do we have) (free|left|)?
            free -m
            """.replace("(are|do we have) (free|left|)", "are free")), ("free -h", "show the memory", """
            how much (memory|RAM) (is left|has this box|does the server have)?
            <show> (memory|RAM) usage (, human readable|)
            memory usage
            are we low on (memory|RAM)?
            """), ("free -h | awk '/^Mem/ {print $2}'", "show the total memory", """
            (total|installed) (memory|RAM), (just|only) the number (, human readable|)
            how much (memory|RAM) is (installed|there in total)? (only|just) the (total|number)
            (just|only) the total (memory|RAM) (, like 15Gi|, human readable|)
            """), ("uptime -p", "show the uptime", """
            (uptime|time since boot) in (words|a readable form)
            how long (is|has) this (machine|box) (up|been up)? (in words|pretty|readable)
            <show> the uptime (in words|prettily|in a readable form)
            """), ("uptime -s", "show the time of the start", """
            when was this (machine|box|server) (started|booted)?
            (boot time|time of the last boot|since when is this box up)
            <show> the (boot time|time of the last boot)
            """), ("cat /proc/loadavg", "show the load", """
            <show> the (load average|load|system load) from /proc/loadavg
            <show> /proc/loadavg
            cat /proc/loadavg
            """), ("grep -m 1 'model name' /proc/cpuinfo", "show the processor", """
            (which|what) (CPU|processor) (is this|does this machine have|is in this box)?
            <show> the (CPU model|model of the processor|processor model)
            (CPU|processor) (model|name)
            """), ("lscpu", "show the processor", """
            <show> details (about|of) the (CPU|processor)
            lscpu
            CPU details (, cores and caches|)
            """)))
    return volatile(ask(rng, block, command, plan))


@schema("date.parts", "date", weight=1.3)
def parts(world: World, rng: random.Random) -> Draft:
    form, block = rng.choice((
        ("+%F", "(today's date|the date|the current date) (as YYYY-MM-DD|in ISO format|as an ISO date)"),
        ("+%d.%m.%Y", "(today's date|the date) as DD.MM.YYYY"), ("+%m/%d/%Y", "(today's date|the date) as MM/DD/YYYY"),
        ("+%Y%m%d", "(today's date|the date) as (YYYYMMDD|8 digits without separators)"), ("+%s",
        "(the unix time|the current epoch seconds|seconds since 1970|the current unix timestamp)"),
        ("+%V", "(the ISO week number|the current week number|the number of this week)"), ("+%j",
        "(the day of the year|the number of today in the year)"),
        ("+%B", "(the name of the current month|the current month, by name)"), ("+%m",
        "(the current month as a number|the number of this month)"),
        ("+%H:%M:%S", "(the time with seconds|the time as HH:MM:SS)"), ("'+%F %H:%M'",
        "(date and time as YYYY-MM-DD HH:MM)"),
        ("+%Z", "(the time zone|the abbreviation of the time zone)"), ("+%A", "(the weekday|the name of today)"),
        ("+%Y", "(the current year)"),
        ("-u", "(the time in UTC|date and time in UTC)"), ("-Iseconds",
        "(date and time in ISO 8601 format|the current time as an ISO 8601 timestamp)"),
        ("-d yesterday +%F", "(yesterday's date|the date of yesterday) (as YYYY-MM-DD|)"), ("-d tomorrow +%F",
        "(tomorrow's date|the date of tomorrow) (as YYYY-MM-DD|)"),
        ("-d 'next monday' +%F", "the date of (next monday|the next monday) (as YYYY-MM-DD|)"), ("-d '7 days ago' +%F",
        "the date (7 days|a week) ago (as YYYY-MM-DD|)"),
        ("-d '30 days' +%F", "the date in 30 days (as YYYY-MM-DD|)")))
    return volatile(ask(rng, f"""
        <show> {block}
        (what is|what's) {block}?
        {block} (please|)
        <want> {block}
        use date to print {block}
        """, f"date {form}", "show the date in that form"))


@schema("date.zone", "date", weight=0.5)
def zone(world: World, rng: random.Random) -> Draft:
    place, name = rng.choice((("Asia/Tokyo", "Tokyo"), ("Europe/Berlin", "Berlin"), ("America/New_York", "New York"),
        ("UTC", "UTC"), ("Asia/Kolkata", "Kolkata"),
                              ("Europe/London", "London"), ("Australia/Sydney", "Sydney"), ("America/Los_Angeles",
                              "Los Angeles")))
    return volatile(ask(rng, """
        what time is it in {p} (now|)?
        (current|) time in {p} (now|)
        <show> date and time in {p}
        TZ={z} date
        (date and time|the time) for the (time zone|timezone) {z}
        """, f"TZ={place} date", f"show the time in {name}", p=name, z=place))


@schema("date.compute", "date", weight=1.0)
def compute(world: World, rng: random.Random) -> Draft:
    a, b = sorted((names.date(rng), names.date(rng)))
    way = rng.choice(("between", "between", "form", "month_end", "day_of_year", "epoch", "week"))
    if way == "between" and a != b:
        return ask(rng, """
            how many days (are|lie) between {a} and {b}?
            (number of|) days (from|between) {a} (to|and) {b}
            days from {a} until {b}
            difference between {a} and {b} in days
            {b} minus {a} in days
            compute the (number of|) days between {a} and {b}
            """.replace("(from|between) {a} (to|and) {b}", "from {a} to {b}"),
            f"echo $(( ($(date -d {b} +%s) - $(date -d {a} +%s)) / 86400 ))", f"count the days from {a} to {b}",
            "It is {output} days.", True, a=a, b=b)
    if way == "month_end":
        return ask(rng, """
            what is the last day of the month of {d}?
            last (day|date) of the month of {d} (as YYYY-MM-DD|)
            end of the month that {d} is in (, as a date|)
            compute the last date of the month of {d}
            """, f"date -d '{a[:7]}-01 + 1 month - 1 day' +%F", "compute the last day of the month", None, True, d=a)
    if way == "day_of_year":
        return ask(rng, """
            (which|what) day of the year is {d}? (number|)
            day of the year of {d} (as a number|)
            {d} is which day of (the|its) year?
            number of {d} within its year
            """, f"date -d {a} +%j", "compute the day of the year", None, True, d=a)
    if way == "epoch":
        return ask(rng, """
            {d} as (unix time|a unix timestamp|epoch seconds|seconds since 1970)
            (unix timestamp|epoch|seconds since the epoch) of {d}
            convert {d} to (unix time|a unix timestamp|epoch seconds)
            how many seconds after 1970 is {d}?
            """, f"date -d {a} +%s", f"convert {a} to seconds", None, True, d=a)
    if way == "week":
        return ask(rng, """
            (which|what) (ISO week|calendar week|week number) is {d} (in|)?
            (ISO week|calendar week|week number) of {d}
            {d} lies in which (calendar week|ISO week)?
            """, f"date -d {a} +%V", f"show the week of {a}", None, True, d=a)
    form, said = rng.choice((("+%d.%m.%Y", "DD.MM.YYYY"), ("+%m/%d/%Y", "MM/DD/YYYY"), ("'+%B %d, %Y'",
        "Month DD, YYYY"), ("+%Y%m%d", "YYYYMMDD"), ("'+%d %b %Y'", "DD Mon YYYY")))
    return ask(rng, """
        (write|print|show|format) {d} as {f}
        {d} in the (form|format) {f}
        convert (the date|) {d} to {f}
        (reformat|format) the date {d}: {f}
        how does {d} look (as|in the form) {f}?
        """, f"date -d {a} {form}", f"write {a} in that form", None, True, d=a, f=said)


@schema("shell.version_of", "python3 git", weight=0.7)
def version_of(world: World, rng: random.Random) -> Draft:
    program, command = rng.choice((("python", "python3 --version"), ("python3", "python3 --version"), ("git",
        "git --version"), ("curl", "curl --version | head -n 1"),
        ("tar", "tar --version | head -n 1"), ("grep", "grep --version | head -n 1"), ("awk",
        "awk --version | head -n 1"), ("make", "make --version | head -n 1"),
        ("sed", "sed --version | head -n 1"), ("find", "find --version | head -n 1"), ("jq", "jq --version"),
        ("openssl", "openssl version"), ("perl", "perl --version"),
        ("ssh", "ssh -V")))
    one = "(, first line only|, one line|)" if "head" in command else ""
    return volatile(ask(rng, f"""
        (which|what) version of {{p}} (do we have|is installed|is this){one}?
        {{p}} version{one}
        <show> the version of {{p}}{one}
        how (old|new) is our {{p}}? (show|print) its version{one}
        is our {{p}} (recent|up to date)? (show|print) its version{one}
        """, command, f"show the version of {program}", None, True, p=program))
