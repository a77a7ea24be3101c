package engine

import (
	"testing"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
)

var testTrust = Trust{AllowOwnUID: true}

func TestOpenSetGet(t *testing.T) {
	h, err := Open(enginetest.Build(t, "simple"), Options{Trust: testTrust})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	b := batch.New()
	defer b.Close()
	b.Set(0, b.Scratch.Copy([]byte("name")), b.Scratch.Copy([]byte("Rojalin")), 0, 0, 0)
	get := b.Get(0, b.Scratch.Copy([]byte("name")))
	none := b.Get(0, b.Scratch.Copy([]byte("none")))
	h.Lock()
	defer h.Unlock()
	if err := h.Exec(b, 0, b.Len(), time.Now().UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if got := string(b.Op(get).ValueBytes()); got != "Rojalin" {
		t.Errorf("got %q, status %v", got, b.Op(get).Status)
	}
	if st := b.Op(none).Status; st != batch.NotFound {
		t.Errorf("a key that is not there: %v", st)
	}
	stat, err := h.Stat(batch.SpaceAll)
	if err != nil || stat.Entries != 1 {
		t.Errorf("stat: %+v, %v", stat, err)
	}
}
