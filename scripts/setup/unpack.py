"""unpack.py WHEEL FOLDER TAKE [LEAVE ...]: unpacks the part TAKE of a wheel (a zip) into FOLDER, file modes included; '' is all of it."""
import os
import sys
import zipfile

wheel, folder, take, *leave = sys.argv[1:]
prefix = take.rstrip('/') + '/' if take else ''
left = tuple(name.rstrip('/') + '/' for name in leave)
taken = 0
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        name = member.filename[len(prefix):]
        if not member.filename.startswith(prefix) or not name or (name + '/').startswith(left) or member.is_dir():
            continue
        if name.startswith('/') or '..' in name.split('/'):
            sys.exit(f'{member.filename}: a name that leaves the folder')
        target = os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with archive.open(member) as source, open(target, 'wb') as sink:
            while block := source.read(1 << 20):
                sink.write(block)
        os.chmod(target, 0o755 if (member.external_attr >> 16) & 0o111 else 0o644)
        taken += 1
if not taken:
    sys.exit(f'nothing under {take} in {os.path.basename(wheel)}')
