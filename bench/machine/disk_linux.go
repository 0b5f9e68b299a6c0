package machine

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// fileSystems names those that a node's data may well lie on, by what statfs(2) calls their magic.
var fileSystems = map[int64]string{
	unix.TMPFS_MAGIC:           "tmpfs",
	unix.RAMFS_MAGIC:           "ramfs",
	unix.EXT4_SUPER_MAGIC:      "ext4", // ext2 and ext3 have the same
	unix.XFS_SUPER_MAGIC:       "xfs",
	unix.BTRFS_SUPER_MAGIC:     "btrfs",
	unix.F2FS_SUPER_MAGIC:      "f2fs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlay",
	unix.NFS_SUPER_MAGIC:       "nfs",
	unix.FUSE_SUPER_MAGIC:      "fuse",
	unix.V9FS_MAGIC:            "9p",
	0x2fc12fc1:                 "zfs",
}

func fileSystem(dir string) (string, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "", err
	}
	magic := int64(uint32(s.Type)) // its type and sign differ by architecture
	if name, ok := fileSystems[magic]; ok {
		return name, nil
	}
	return fmt.Sprintf("0x%x", magic), nil
}

// syncFile is fdatasync, as the journal's store does it.
func syncFile(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
