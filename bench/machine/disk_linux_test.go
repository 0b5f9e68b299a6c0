package machine

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// shm is a tmpfs on every Linux that has one at all.
const shm = "/dev/shm"

func TestLookAtDisk(t *testing.T) {
	for _, dir := range []string{t.TempDir(), shm} {
		told, err := exec.Command("stat", "--file-system", "--format=%T", dir).Output() // as coreutils names it
		if err != nil {
			t.Skipf("%s: %v", dir, err)
		}
		d, err := LookAtDisk(dir)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSpace(string(told))
		switch want {
		case "ext2/ext3":
			want = "ext4"
		case "overlayfs":
			want = "overlay"
		}
		if d.FileSystem != want || d.Sync <= 0 {
			t.Errorf("%s: %+v, want %s", dir, d, want)
		}
		if left, err := os.ReadDir(dir); err != nil || dir != shm && len(left) > 0 {
			t.Errorf("%s holds %v afterwards: %v", dir, left, err)
		}
	}
	if _, err := LookAtDisk("/nowhere"); err == nil {
		t.Error("a folder that is not there is described")
	}
}
