package crash

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kvstored/pkg/client"
	"kvstored/pkg/engine/enginetest"
)

// imageKeys long values are enough for an image of the memory to be written.
const imageKeys = 48

func imageKey(i int) (key, value string) {
	return fmt.Sprintf("key:%d", i), strings.Repeat(fmt.Sprintf("%07d ", i), 1<<17)
}

// look gets every key; the error is the first thing that was not as it should be.
func look(socket string) error {
	c, err := client.Dial(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range imageKeys {
		key, value := imageKey(i)
		reply, err := c.Do("GET", key)
		if err != nil {
			return err
		}
		if reply.Text() != value {
			return fmt.Errorf("%s has %d bytes that it should not have", key, len(reply.Text()))
		}
	}
	return nil
}

// fill sets every key.
func fill(t *testing.T, socket string) {
	t.Helper()
	for i := range imageKeys {
		key, value := imageKey(i)
		do(t, socket, "SET", key, value)
	}
}

// do carries out a command that must succeed.
func do(t *testing.T, socket string, args ...string) {
	t.Helper()
	c, err := client.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if reply, err := c.Do(args...); err != nil || reply.Err() != nil {
		t.Fatal(args[0], err, reply.Err())
	}
}

// place puts a library where the daemon takes engines from.
func (h *house) place(name, library string) string {
	h.t.Helper()
	data, err := os.ReadFile(library)
	if err == nil {
		err = os.WriteFile(h.path(name), data, 0o644)
	}
	h.configure("Sync=interval", "EngineDir="+h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.path(name)
}

// TestImageAndExchange: memory that is mapped from an image is handed over and
// copied like any other, changed or not, and stops cleanly into the next image.
func TestImageAndExchange(t *testing.T) {
	h := newHouse(t, "hash", "Sync=interval")
	next := h.place("next.so", enginetest.Build(t, "hash", `KV_ENGINE_VERSION="0.1.1"`))
	debug := h.place("debug.so", enginetest.Build(t, "debug"))
	h.engine = h.place("hash.so", h.engine)
	h.start()
	h.answers()
	fill(t, h.path("s"))
	for _, path := range []string{next, debug} {
		h.end(unix.SIGTERM)
		if images, _ := filepath.Glob(h.path("state/data-*/image")); len(images) != 1 {
			t.Fatalf("images: %q\n%s", images, h.log)
		}
		h.start()
		h.answers()
		do(t, h.path("s"), "ENGINE", "LOAD", path) // at once: not all of the image was looked at
		for i := 0; i < imageKeys; i += 3 {
			key, value := imageKey(i)
			do(t, h.path("s"), "DEL", key)
			do(t, h.path("s"), "SET", "small", key)
			do(t, h.path("s"), "SET", key, value)
		}
		if err := look(h.path("s")); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, h.log)
		}
		do(t, h.path("s"), "ENGINE", "LOAD", h.engine)
		if err := look(h.path("s")); err != nil {
			t.Fatalf("back from %s: %v\n%s", path, err, h.log)
		}
	}
}

// TestImageOfACleanStop: the start after a clean stop has everything from the
// image, a write makes the image go, and one that is damaged is told of, never
// served.
func TestImageOfACleanStop(t *testing.T) {
	h := newHouse(t, "hash", "Sync=interval")
	h.start()
	h.answers()
	fill(t, h.path("s"))
	image := h.path("state/data-1/image")
	again := func(signal unix.Signal) {
		t.Helper()
		h.end(signal)
		h.start()
		h.answers()
		if err := look(h.path("s")); err != nil {
			t.Fatalf("%v\n%s", err, h.log)
		}
	}
	again(unix.SIGTERM)
	if _, err := os.Stat(image); err != nil {
		t.Fatalf("no image: %v\n%s", err, h.log)
	}
	again(unix.SIGKILL)
	again(unix.SIGTERM)
	do(t, h.path("s"), "SET", "one more", "1")
	if _, err := os.Stat(image); err == nil {
		t.Fatal("the image is there after a write")
	}
	for _, share := range []int64{2, 1} { // in its middle, and at its end
		h.end(unix.SIGTERM)
		spoil(t, image, share)
		h.log.Reset()
		h.start()
		if err := look(h.path("s")); err != nil { // damage that is found while it serves ends it
			h.end(0)
			h.start()
		}
		h.answers()
		if err := look(h.path("s")); err != nil {
			t.Fatalf("%v\n%s", err, h.log)
		}
		again(unix.SIGTERM)
		if !bytes.Contains(h.log.Bytes(), []byte("image is damaged at offset")) {
			t.Fatalf("not told of a damaged image:\n%s", h.log)
		}
	}
}

// spoil changes the byte at 1/share of the file, less some.
func spoil(t *testing.T, path string, share int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	at, b := info.Size()/share-20, []byte{0}
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 64
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}
