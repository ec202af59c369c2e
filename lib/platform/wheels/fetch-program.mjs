/**
 * A Python program with the arguments REQUIREMENT SHA256 PART [OPTION ...]. It lets pip find a wheel, by pip's settings (index, proxies,
 * certificates, passwords), and appends the missing bytes to the file PART. `pip download` cannot do this: it deletes an
 * interrupted download at its end, resumes within one process only (from pip 25.1 on), and prints no address to resume from.
 * The program prints lines of JSON: `local` (the path of a file on this machine), `file` and its hash in the index, `at` and `of`
 * (bytes), `again` (the reason for another attempt), `whole`; or, last, `unable` (this pip has other internals), `absent` (with the
 * versions in the index), `failed`, `unwritable`.
 * The flock: if the process that reads the lines is killed, this program ends at its next line; until then nobody else may append.
 */
export const fetchProgram = `
import errno, fcntl, json, logging, os, signal, sys, time

signal.signal(signal.SIGINT, signal.SIG_DFL)

def say(**words):
    try:
        sys.stdout.write(json.dumps(words) + "\\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(1)

try:
    from pip._internal.cli.cmdoptions import make_target_python
    from pip._internal.commands import create_command
    from pip._internal.utils.hashes import Hashes
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.requests.exceptions import RequestException
    from pip._vendor.urllib3.exceptions import HTTPError
    command = create_command("download")
    command.get_default_session, command._build_package_finder, command.main_context
except Exception as error:
    say(unable=repr(error))
    sys.exit()

class Refusals(logging.Handler):
    def emit(self, record):
        if "Could not fetch" in record.getMessage():
            sys.stderr.write(record.getMessage() + "\\n")

logging.getLogger("pip._internal").addHandler(Refusals())
logging.getLogger("pip._internal").setLevel(logging.DEBUG)
block_bytes = 1 << 15

def words_of(error, seconds):
    inner = error
    while inner is not None:
        error = inner
        inner = getattr(error, "reason", None)
        if not isinstance(inner, Exception):
            inner = next((part for part in error.args if isinstance(part, Exception)), None)
    text = str(error)
    if "timed out" in text.lower():
        return "nothing came for %g seconds" % seconds
    return text.split(" object at 0x", 1)[-1].split(">: ", 1)[-1]

def find(requirement, sha256, options, session):
    finder = command._build_package_finder(
        options=options, session=session, target_python=make_target_python(options))
    wanted = Requirement(requirement)
    best = finder.find_best_candidate(wanted.name, wanted.specifier, Hashes({"sha256": [sha256]})).best_candidate
    if best is None:
        versions = sorted({candidate.version for candidate in finder.find_all_candidates(wanted.name)})
        say(absent=[str(version) for version in versions])
    return best

def receive(session, link, sink):
    start = os.fstat(sink.fileno()).st_size
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = "bytes=%d-" % start
    with session.get(link.url.split("#", 1)[0], headers=headers, stream=True) as response:
        ranged = response.headers.get("Content-Range", "")
        if response.status_code == 416:
            if ranged != "bytes */%d" % start:
                sink.truncate(0)
            return ranged == "bytes */%d" % start
        if response.status_code not in (200, 206):
            raise RequestException("the server answers %d" % response.status_code)
        if start and not (response.status_code == 206 and ranged.startswith("bytes %d-" % start)):
            sink.truncate(0)
            if response.status_code == 206:
                raise RequestException("the server sends another part than was asked for")
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        reported = 0
        while True:
            if time.monotonic() - reported > 0.1:
                say(at=start, of=total)
                reported = time.monotonic()
            block = response.raw.read(block_bytes)
            if not block:
                break
            sink.write(block)
            start += len(block)
        if total is not None and start < total:
            raise RequestException("the connection ended after %d of %d bytes" % (start, total))
    return True

def fetch(session, link, part, options):
    with open(part, "ab", buffering=0) as sink:
        fcntl.flock(sink, fcntl.LOCK_EX)
        failed = 0
        while True:
            before = os.fstat(sink.fileno()).st_size
            try:
                if receive(session, link, sink):
                    os.fsync(sink.fileno())
                    return say(whole=os.fstat(sink.fileno()).st_size)
                reason = "what was kept does not fit"
            except (RequestException, HTTPError) as error:
                reason = words_of(error, options.timeout)
            failed = 1 if os.fstat(sink.fileno()).st_size > before else failed + 1
            if failed > options.retries:
                return say(failed=reason)
            say(again=reason)
            time.sleep(min(5, 0.25 * 2 ** failed))

def main(requirement, sha256, part, *words):
    options, _ = command.parse_args([
        "--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir", "--disable-pip-version-check",
        *words, requirement])
    with command.main_context():
        session = command.get_default_session(options)
        best = find(requirement, sha256, options, session)
        if best is None:
            return
        link = best.link
        if link.scheme == "file":
            return say(local=link.file_path)
        say(file=link.filename, hash=link.hash if link.hash_name == "sha256" else None)
        if link.hash_name == "sha256" and link.hash != sha256:
            return
        fetch(session, link, part, options)

try:
    main(*sys.argv[1:])
except OSError as error:
    if isinstance(error, RequestException):
        say(failed=words_of(error, 0))
    else:
        say(unwritable=errno.errorcode.get(error.errno, "EIO"), words=str(error))
`
