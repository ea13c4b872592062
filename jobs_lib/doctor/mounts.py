"""Which kind of file system a path lies on, by the text of /proc/mounts."""
from __future__ import annotations

import os
import re

NETWORK = ("nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs",
           "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs", "lustre", "9p", "ocfs2", "gfs2")


def file_system(mounts: str, path: str) -> str:
    """`ext4`, `nfs4`, ...; "" where nothing is known."""
    path, best, kind = os.path.realpath(path), "", ""
    for line in mounts.split("\n"):
        words = line.split()
        if len(words) < 3:
            continue
        # a space is \040
        place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), words[1])
        below = path == place or path.startswith(place.rstrip("/") + "/")
        if below and len(place) >= len(best):
            # of two at one place, the later one covers the other
            best, kind = place, words[2]
    return kind
