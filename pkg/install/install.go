// Package install says how this machine installs packages, for messages.
package install

import (
	"os"
	"path/filepath"
	"strings"
)

// Command is how this machine installs a package, after os-release.
func Command(pkg string) string { return command("/etc/os-release", pkg) }

// command is Command for an os-release file of its own.
func command(osRelease, pkg string) string {
	data, err := os.ReadFile(osRelease)
	if err != nil {
		return "install the package " + pkg
	}
	var ids []string
	for line := range strings.SplitSeq(string(data), "\n") {
		name, value, _ := strings.Cut(line, "=")
		value = strings.Trim(value, `"'`)
		switch name {
		case "ID":
			ids = append([]string{value}, ids...)
		case "ID_LIKE":
			ids = append(ids, strings.Fields(value)...)
		}
	}
	tools := map[string]string{
		"debian": "apt install", "ubuntu": "apt install",
		"fedora": "dnf install", "rhel": "dnf install", "centos": "dnf install",
		"suse": "zypper install", "opensuse": "zypper install", "sles": "zypper install",
		"arch": "pacman -S", "alpine": "apk add",
	}
	for _, id := range ids {
		if tool, ok := tools[id]; ok {
			return Sudo(tool + " " + pkg)
		}
	}
	return "install the package " + pkg
}

// Sudo is how this user runs a command that needs root.
func Sudo(line string) string {
	if os.Geteuid() == 0 {
		return line
	}
	return "sudo " + line
}

// engines are the packages that bring engines, by the name of the file.
var engines = map[string]string{
	"libkvstore.so": "kvstored", "hash.so": "kvstored", "simple.so": "kvstored", "lmdb.so": "kvstored-engine-lmdb",
}

// Of is the package that brings the engine at path; "" for one that is not ours.
func Of(path string) string { return engines[filepath.Base(path)] }
