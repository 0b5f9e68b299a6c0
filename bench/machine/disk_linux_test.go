package machine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// named has what stat(1) of coreutils calls the file systems that LookAtDisk names.
var named = map[string]string{
	"btrfs": "btrfs", "ext2/ext3": "ext4", "f2fs": "f2fs", "fuseblk": "fuse", "nfs": "nfs", "overlayfs": "overlay", "ramfs": "ramfs",
	"tmpfs": "tmpfs", "v9fs": "9p", "xfs": "xfs", "zfs": "zfs",
}

func TestLookAtDisk(t *testing.T) {
	for name, below := range map[string]string{"temporary files": "", "memory": "/dev/shm"} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp(below, "carom-test-")
			if err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			d, err := LookAtDisk(dir)
			if err != nil {
				t.Fatal(err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 || d.Sync <= 0 {
				t.Errorf("%s holds %v after a look that tells %+v: %v", dir, left, d, err)
			}
			told, err := exec.Command("stat", "--file-system", "--format=%t %T", dir).Output()
			if err != nil {
				t.Skipf("stat of coreutils: %v", err)
			}
			magic, called, _ := strings.Cut(strings.TrimSpace(string(told)), " ")
			want, ok := named[called]
			if !ok {
				want = "0x" + magic
			}
			if d.FileSystem != want {
				t.Errorf("%s: %s, want %s", dir, d.FileSystem, want)
			}
		})
	}
}

func TestLookAtDiskNowhere(t *testing.T) {
	if d, err := LookAtDisk(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Errorf("a folder that is not there is described: %v", d)
	}
}
