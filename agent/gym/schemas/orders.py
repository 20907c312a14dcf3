"""Command lines that are wanted as text: for other machines, other times, other tools; and keys, which are made."""

from __future__ import annotations

import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.registers import act, ask, stem
from nimllm.agent.gym.schemas.subjects import text_file
from nimllm.agent.gym.worlds import World

_PRINT = "(print|echo|show|give me)"
_LINE = "(command|command line|line)"


def _times(rng: random.Random) -> tuple[str, str]:
    """A cron schedule and how people say it."""
    hour, minute, day = rng.randint(0, 23), rng.choice((0, 0, 15, 30, 45, rng.randint(1, 59))), rng.randint(0, 6)
    week = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")[day]
    clock = f"{hour}:{minute:02d}"
    n = rng.choice((2, 5, 10, 15, 20, 30))
    return rng.choice((
        (f"{minute} {hour} * * *", f"(every day|daily|each day) at {clock}"), (f"{minute} {hour} * * *",
        f"at {clock} every (day|night)"), (f"{minute} {hour} * * {day}", f"every {week} at {clock}"),
        (f"*/{n} * * * *", f"every {n} minutes"), ("0 * * * *", "(every hour|hourly|on the hour)"), (f"0 {hour} 1 * *",
        f"on the first of (each|every) month at {hour}:00"),
        (f"{minute} {hour} * * 1-5", f"(on weekdays|monday to friday|every weekday) at {clock}"), ("@reboot",
        "(at every reboot|at boot|when the machine starts)"), ("0 0 * * *",
        "(every midnight|at midnight|daily at midnight)"),
        (f"0 */{rng.choice((2, 3, 4, 6, 8, 12))} * * *", "X")))


@schema("text.cron", "echo", weight=1.3)
def cron(world: World, rng: random.Random) -> Draft:
    when, said = _times(rng)
    if said == "X":
        said = f"every {when.split()[1][2:]} hours"
    script = rng.choice((f"/usr/local/bin/{stem(rng)}.sh", f"/opt/{stem(rng)}/{stem(rng)}.sh",
        f"/home/{rng.choice(names.FIRST).lower()}/{stem(rng)}.sh", f"/srv/{stem(rng)}/run.sh"))
    line = f"{when} {script}"
    way = rng.choice(("print", "write", "append"))
    if way == "print":
        return ask(rng, f"""
            {_PRINT} the (crontab|cron) (line|entry) that runs {{s}} {said}
            (which|what) (crontab|cron) (line|entry) runs {{s}} {said}? (print|echo) it
            (crontab|cron) (line|entry) for {{s}} {said}
            <want> a (crontab|cron) (line|entry) to run {{s}} {said}
            how do I write a cron (line|entry) for {{s}} {said}? (print|echo) it
            """, f"echo {string(line)}", "print the crontab line", None, True, s=script)
    if way == "write":
        name = rng.choice(("crontab.txt", "cron.txt", f"{stem(rng)}.cron", world.new_name("file", "txt")))
        if name in world.entries:
            raise Unsuitable("taken")
        return act(rng, f"""
            (write|put|save) (a|the) (crontab|cron) (line|entry) (that runs|to run) {{s}} {said} (into|to|in) {{f}}
            (create|make) {{f}} with the (crontab|cron) (line|entry) for {{s}} {said}
            {{f}} should (hold|contain) the cron (line|entry) that runs {{s}} {said}
            <want> {{f}} with a cron (line|entry): {{s}} {said}
            """, f"echo {string(line)} > {quoted(name)}", f"write the crontab line to {name}", s=script, f=name)
    name = rng.choice(("crontab.txt", "crontab", f"{stem(rng)}.cron"))
    world.add_file(name, f"MAILTO={names.word(rng)}\n0 1 * * * /usr/bin/true\n")
    return act(rng, f"""
        (append|add) (a|the) (crontab|cron|) (line|entry) (that runs|to run) {{s}} {said} to {{f}}
        add {{s}} {said} to the crontab file {{f}}
        {{f}} needs (one more|another) cron (line|entry): {{s}} {said}
        (append|add) to {{f}}: run {{s}} {said} (, crontab format|as a cron line)
        """, f"echo {string(line)} >> {quoted(name)}", f"append the crontab line to {name}", s=script, f=name)


def _order(rng: random.Random, world: World) -> tuple[str, str]:
    """A command for elsewhere, and what it is for."""
    word, host = stem(rng), f"{names.word(rng)}.example.org"
    user, path = rng.choice(names.FIRST).lower(), world.pick_file()
    if " " in path:
        path = f"{names.word(rng)}.txt"
    folder, port = f"/srv/{stem(rng)}", rng.choice((8080, 5000, 3000, 8000, 9000, 2222))
    service = rng.choice(("nginx", "ssh", "postgresql", "docker", "redis", "cron", word))
    return rng.choice((
        (f"sudo systemctl restart {service}", f"(restarts|that restarts) the service {service} (with systemctl|)"),
        (f"sudo systemctl enable {service}", f"enables the service {service} at boot (with systemctl|)"),
        (f"systemctl status {service}", f"shows the status of the service {service} (with systemctl|)"),
        (f"sudo systemctl stop {service}", f"stops the service {service} (with systemctl|)"),
        (f"sudo systemctl start {service}", f"starts the service {service} (with systemctl|)"),
        (f"journalctl -u {service} -f", f"follows the journal of {service}"),
        (f"sudo apt install {word}", f"installs {word} with apt"), (f"sudo apt remove {word}",
        f"removes the package {word} with apt"), ("sudo apt update", "updates the package lists of apt"),
        (f"pip install {word}", f"installs {word} with pip"), (f"pip uninstall {word}", f"uninstalls {word} with pip"),
        ("pip install -r requirements.txt", "installs the requirements with pip"),
        (f"npm install {word}", f"installs {word} with npm"), ("npm run build", "runs the build script with npm"),
        (f"sudo dnf install {word}", f"installs {word} with dnf"), (f"brew install {word}",
        f"installs {word} with brew"),
        (f"docker build -t {word} .", f"builds the docker image {word} from this folder"),
        (f"docker run -p {port}:80 {word}",
        f"runs the docker image {word} with port {port} of the host going to port 80"),
        (f"docker logs -f {word}", f"follows the logs of the docker container {word}"), (f"docker exec -it {word} bash",
        f"opens a bash in the docker container {word}"), ("docker ps -a",
        "lists all docker containers, stopped ones too"),
        (f"docker stop {word}", f"stops the docker container {word}"), (f"docker pull {word}",
        f"pulls the docker image {word}"), ("docker compose up -d", "starts docker compose in the background"),
        (f"ssh {user}@{host}", f"logs in to {host} as {user} by ssh"), (f"ssh -p {port} {user}@{host}",
        f"logs in to {host} as {user} by ssh on port {port}"), (f"scp {path} {user}@{host}:{folder}/",
        f"copies {path} to {folder} on {host} as {user} with scp"),
        (f"scp {user}@{host}:{folder}/{word}.txt .", f"fetches {folder}/{word}.txt from {host} as {user} with scp"),
        (f"rsync -av {word}/ {user}@{host}:{folder}/",
        f"syncs the folder {word} to {folder} on {host} as {user} with rsync"),
        (f"ssh {user}@{host} uptime", f"runs uptime on {host} as {user} by ssh"), (f"curl -O https://{host}/{word}.zip",
        f"downloads https://{host}/{word}.zip with curl, keeping its name"),
        (f"wget https://{host}/{word}.zip", f"downloads https://{host}/{word}.zip with wget"),
        (f"python3 -m http.server {port}", f"serves this folder by python's http.server on port {port}"),
        (f"git clone https://{host}/{word}.git", f"clones https://{host}/{word}.git"), (f"sudo useradd -m {user}",
        f"adds the user {user} with a home folder"), (f"sudo usermod -aG docker {user}",
        f"adds {user} to the group docker"),
        (f"sudo chown -R {user}:{user} {folder}", f"gives {folder} and all in it to the user and group {user}"),
        ("sudo reboot", "reboots the machine"), ("crontab -e", "opens my crontab for editing"), ("crontab -l",
        "lists my crontab"),
        (f"ping -c 4 {host}", f"pings {host} four times"), (f"kill -9 {rng.randint(300, 30000)}", "Y"),
        (f"sudo lsof -i :{port}", f"shows which process listens on port {port} with lsof"), ("ss -tlnp",
        "lists the listening TCP ports with ss")))


@schema("text.order", "echo", weight=1.6)
def order(world: World, rng: random.Random) -> Draft:
    command, said = _order(rng, world)
    if said == "Y":
        said = f"kills process {command.split()[-1]} by force"
    said = said.replace("(restarts|that restarts)", "restarts")
    if rng.random() < 0.5:
        return ask(rng, f"""
            {_PRINT} the {_LINE} that {said} (, don't run it|, without running it|)
            (which|what) {_LINE} {said}? (print|echo) it (, don't run it|, only as text|)
            (print|echo) (only|) the text of the {_LINE} that {said}
            <want> the {_LINE} that {said} as text
            don't run it, just print the {_LINE} that {said}
            """, f"echo {string(command)}", "print the command", None, True, protected=tuple(said.split()))
    name = rng.choice((f"{stem(rng)}.sh", f"{stem(rng)}.txt", "commands.txt", "notes.md", "deploy.sh"))
    if name in world.entries:
        raise Unsuitable("taken")
    if rng.random() < 0.35:
        world.add_file(name, world.text(2))
        return act(rng, f"""
            (append|add) the {_LINE} that {said} to {{f}}
            {{f}} needs (one more line|another line): the command that {said}
            (add|append) a line to {{f}} with the command that {said}
            """, f"echo {string(command)} >> {quoted(name)}", f"append the command to {name}",
            protected=tuple(said.split()), f=name)
    return act(rng, f"""
        (write|put|save) the {_LINE} that {said} (into|to|in) {{f}}
        (create|make) {{f}} with the {_LINE} that {said}
        {{f}} should (contain|hold) the {_LINE} that {said}
        (save|note) in {{f}} the {_LINE} that {said}
        """, f"echo {string(command)} > {quoted(name)}", f"write the command to {name}", protected=tuple(said.split()),
        f=name)


@schema("text.alias", "echo", weight=0.6)
def alias(world: World, rng: random.Random) -> Draft:
    name, command = rng.choice(("ll", "la", "gs", "gd", "..", "dc", stem(rng))), rng.choice(("ls -l", "ls -la",
        "git status", "git diff", "cd ..", "docker compose", "python3"))
    target = rng.choice((".bashrc", ".bash_aliases", ".zshrc", ".profile"))
    world.add_file(target, "export EDITOR=vim\n")
    if rng.random() < 0.4:
        variable, value = names.word(rng).upper().replace("-", "_"), names.word(rng)
        return act(rng, """
            (add|append) export {n}={v} to {f}
            set {n} to {v} for all (future|later) shells: (add|append) (the|an) export to {f}
            {f} should export {n} as {v} (, add the line at the end|, append it)
            (append|add) a line to {f} that exports {n} with the value {v}
            """, f"echo 'export {variable}={value}' >> {target}", f"append the export to {target}", n=variable, v=value,
            f=target)
    line = f"alias {name}='{command}'"
    return act(rng, """
        (add|append) an alias {n} for {c} to {f}
        (add|append) to {f}: alias {n}='{c}'
        {f} needs an alias {n} for {c} (, at the end|)
        define the alias {n} as {c} in {f} (, append it|)
        <want> {n} to mean {c} in every shell: (add|append) the alias to {f}
        """, f'echo "{line}" >> {target}', f"append the alias to {target}", n=name, c=command, f=target)


@schema("key.generate", "ssh-keygen", weight=0.7)
def key(world: World, rng: random.Random) -> Draft:
    name = rng.choice(("id_ed25519", "deploy_key", f"{stem(rng)}_key", stem(rng), f"id_{stem(rng)}"))
    if name in world.entries or f"{name}.pub" in world.entries:
        raise Unsuitable("taken")
    return act(rng, """
        (generate|create|make) (an ed25519 ssh key|an ssh key of type ed25519) in {f} without (a|) (passphrase|password)
        ssh-keygen (an ed25519 key|type ed25519) into {f}, (no|empty) passphrase
        <want> a new ssh key (pair|) {f} (ed25519|of type ed25519), (no passphrase|without a passphrase)
        new ed25519 ssh key {f} with an empty passphrase
        (generate|make) the key files {f} and {f}.pub (ed25519, no passphrase|with ssh-keygen, ed25519, no passphrase)
        """.replace("(ed25519, no passphrase|with", "(as ed25519 without passphrase|with"),
        f"ssh-keygen -q -t ed25519 -N '' -f {quoted(name)}", f"make the key {name}", f=name)


@schema("fetch.local", "curl", weight=0.4)
def fetch(world: World, rng: random.Random) -> Draft:
    source, target = text_file(world, rng, 1), world.new_name("file", "txt")
    if " " in source or not source.isascii():
        raise Unsuitable("a URL")
    return act(rng, """
        (download|fetch|get) file://$PWD/{f} (to|into|as) {t} with curl
        use curl to (fetch|copy|download) file://$PWD/{f} (to|into) {t}
        curl the URL file://$PWD/{f} into {t}
        save file://$PWD/{f} as {t} with curl (-o|)
        """, f'curl -s -o {quoted(target)} "file://$PWD/{source}"', f"fetch {source} with curl", f=source, t=target)


@schema("disk.copy_blocks", "dd", weight=0.6)
def blocks(world: World, rng: random.Random) -> Draft:
    """dd between files: harmless."""
    source = world.pick_file(min_lines=3)
    target = world.new_name("file", rng.choice(("bin", "img", "part")))
    if len(world.entries[source].content) < 40:
        raise Unsuitable("short")
    if rng.random() < 0.4:
        return act(rng, """
            copy {f} to {t} with dd
            dd if={f} of={t}
            use dd to (copy|clone) {f} to {t}
            dd from {f} to {t} (, no status|quietly|)
            """, f"dd if={quoted(source)} of={quoted(target)} status=none", f"copy {source} with dd", f=source,
            t=target)
    n = rng.choice((1, 4, 8, 10, 16, 20, 32))
    return act(rng, """
        copy the first {n} bytes of {f} to {t} with dd
        dd if={f} of={t} bs={n} count=1
        use dd to (write|copy) one block of {n} bytes from {f} to {t}
        dd the first {n} bytes from {f} (to|into) {t}
        """, f"dd if={quoted(source)} of={quoted(target)} bs={n} count=1 status=none", f"copy the first {n} bytes",
        f=source, t=target, n=n)
