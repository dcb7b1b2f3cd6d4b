# Lists tars as Python's tarfile reads them: one path a line on standard input, one line of JSON for each on standard output.
# Unlike tarfile itself it says when a header in the middle is wrong, instead of ending there.
import hashlib, json, sys, tarfile

TYPES = {b"0": "file", b"\0": "file", b"7": "file", b"1": "hardlink", b"2": "symlink", b"3": "char", b"4": "block", b"5": "dir", b"6": "fifo"}


def text(name):
    return name.encode("utf-8", "surrogateescape").decode("latin-1")


def members(path):
    with open(path, "rb") as file:
        tar = tarfile.TarFile.__new__(tarfile.TarFile)
        tar.__dict__.update(
            mode="r", _mode="rb", fileobj=file, name=path, offset=0, _loaded=True, closed=False, firstmember=None, members=[],
            tarinfo=tarfile.TarInfo, ignore_zeros=False, encoding="utf-8", errors="surrogateescape", pax_headers={}, debug=0, errorlevel=0,
            dereference=False, format=tarfile.PAX_FORMAT, inodes={}, copybufsize=None)
        while True:
            file.seek(tar.offset)
            try:
                info = tarfile.TarInfo.fromtarfile(tar)
            except tarfile.EOFHeaderError:
                return
            except tarfile.EmptyHeaderError:
                return
            kind = TYPES.get(info.type, "other " + info.type.decode("latin-1"))
            if info.type == tarfile.AREGTYPE and info.isdir():
                kind = "dir"
            content = b""
            if kind == "file" and not info.issparse():
                file.seek(info.offset_data)
                content = file.read(info.size)
                if len(content) < info.size:
                    raise ValueError("truncated")
            yield dict(
                path=text(info.name), type=kind, size=info.size, mode=info.mode & 0o7777, uid=info.uid, gid=info.gid, link=text(info.linkname),
                mtime=str(info.mtime), digest=hashlib.sha256(content).hexdigest(), sparse=info.sparse is not None, offset=info.offset_data)


for line in sys.stdin:
    found, error = [], None
    try:
        for member in members(line.rstrip("\n")):
            found.append(member)
    except Exception as failure:
        error = type(failure).__name__ + ": " + str(failure)
    print(json.dumps(dict(members=found, error=error)), flush=True)
