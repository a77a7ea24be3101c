package engine

import (
	"fmt"
	"os"
	"path/filepath"
)

// A trial is most of what a start takes. A library need not be tried again by
// the daemon that had it serve until it closed its store in order: at its end
// the daemon leaves a file "served" that names both. The next start takes the
// file away before it loads the library, so after a crash there is a trial again.
const servedFile = "served"

// servedText names a library and this daemon, so that one that was changed or
// updated is tried.
func servedText(image *Image) string {
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d\n", image.SHA256, self.Size(), self.ModTime().UnixNano())
}

// tookServed tells whether the file names image, and takes it away.
func (s *stateDir) tookServed(image *Image) bool {
	if s == nil {
		return false
	}
	name := filepath.Join(s.path, servedFile)
	text, err := os.ReadFile(name)
	if err != nil || os.Remove(name) != nil || syncDir(s.path) != nil {
		return false // one that a power cut brings back would spare a library its trial
	}
	want := servedText(image)
	return want != "" && string(text) == want
}

// leaveServed writes the file. Without it the next start takes longer.
func (s *stateDir) leaveServed(image *Image) {
	if text := servedText(image); s != nil && text != "" {
		_ = os.WriteFile(filepath.Join(s.path, servedFile), []byte(text), 0o600)
	}
}
