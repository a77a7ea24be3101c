package install

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCommand(t *testing.T) {
	for content, want := range map[string]string{
		"ID=debian\n": Sudo("apt install kvstored"),
		"NAME=x\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n": Sudo("apt install kvstored"),
		"ID_LIKE=\"rhel centos fedora\"\nID=\"rocky\"\n":    Sudo("dnf install kvstored"),
		"ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n": Sudo("zypper install kvstored"),
		"ID=plan9\n": "install the package kvstored",
	} {
		file := filepath.Join(t.TempDir(), "os-release")
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := command(file, "kvstored"); got != want {
			t.Errorf("%q: %s", content, got)
		}
	}
}

func TestReinstall(t *testing.T) {
	for command, want := range map[string]string{
		"sudo apt install kvstored": "sudo apt install --reinstall kvstored", "dnf install x": "dnf reinstall x",
		"pacman -S kvstored": "pacman -S kvstored", "install the package kvstored": "install the package kvstored",
	} {
		if got := reinstall(command); got != want {
			t.Errorf("%s: %s", command, got)
		}
	}
}
