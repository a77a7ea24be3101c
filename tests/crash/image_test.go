package crash

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"kvstored/pkg/client"
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

// TestImageOfACleanStop: the start after a clean stop has everything from the
// image, a write makes the image go, and one that is damaged is told of, never
// served.
func TestImageOfACleanStop(t *testing.T) {
	h := newHouse(t, "interval")
	h.start()
	defer func() { h.end(syscall.SIGKILL) }()
	h.answers()
	c, err := client.Dial(h.path("s"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range imageKeys {
		key, value := imageKey(i)
		if reply, err := c.Do("SET", key, value); err != nil || reply.Err() != nil {
			t.Fatal(err, reply.Err())
		}
	}
	c.Close()
	image := h.path("state/data-1/image")
	again := func(signal syscall.Signal) {
		t.Helper()
		h.end(signal)
		h.start()
		h.answers()
		if err := look(h.path("s")); err != nil {
			t.Fatalf("%v\n%s", err, &h.log)
		}
	}
	again(syscall.SIGTERM)
	if _, err := os.Stat(image); err != nil {
		t.Fatalf("no image: %v\n%s", err, &h.log)
	}
	again(syscall.SIGKILL)
	again(syscall.SIGTERM)
	if c, err = client.Dial(h.path("s")); err != nil {
		t.Fatal(err)
	}
	if reply, err := c.Do("SET", "one more", "1"); err != nil || reply.Err() != nil {
		t.Fatal(err, reply.Err())
	}
	c.Close()
	if _, err := os.Stat(image); err == nil {
		t.Fatal("the image is there after a write")
	}
	for _, share := range []int64{2, 1} { // in its middle, and at its end
		h.end(syscall.SIGTERM)
		spoil(t, image, share)
		h.log.Reset()
		h.start()
		if err := look(h.path("s")); err != nil { // damage that is found while it serves ends it
			_ = h.cmd.Wait()
			h.start()
		}
		h.answers()
		if err := look(h.path("s")); err != nil {
			t.Fatalf("%v\n%s", err, &h.log)
		}
		again(syscall.SIGTERM)
		if !bytes.Contains(h.log.Bytes(), []byte("image is damaged at offset")) {
			t.Fatalf("not told of a damaged image:\n%s", &h.log)
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
