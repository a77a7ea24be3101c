package batch

import (
	"bytes"
	"testing"
)

func TestOperationsKeepTheirOrderAndFields(t *testing.T) {
	b := New()
	defer b.Close()
	key, value := b.Scratch.Copy([]byte("name")), b.Scratch.Copy([]byte("Rojalin"))
	if i := b.Set(3, key, value, 99, 7, KeepExpiry); i != 0 {
		t.Fatalf("first operation is %d", i)
	}
	i, arg := b.Update(3, key, FuncIncr)
	if i != 1 || b.Op(1).Args() != arg || arg.Reply == 0 {
		t.Fatalf("operation %d, argument block %v", i, arg)
	}
	b.GetRange(1, key, 2, 5)
	o := b.Op(0)
	if o.Code != Set || o.Space != 3 || o.Expiry != 99 || o.Tag != 7 || o.Flags != KeepExpiry ||
		string(o.KeyBytes()) != "name" || string(o.ValueBytes()) != "Rojalin" {
		t.Errorf("got %+v", *o)
	}
	if o := b.Op(2); o.Offset != 2 || o.Length != 5 {
		t.Errorf("got %+v", *o)
	}
	if b.Len() != 3 || b.Writes() != 2 {
		t.Errorf("%d operations, %d writes", b.Len(), b.Writes())
	}
}

func TestSealMarksReadOnly(t *testing.T) {
	b := New()
	defer b.Close()
	b.Get(0, b.Scratch.Copy([]byte("k")))
	h := (*Header)(pointer(b.Seal(0, 1, 5)))
	if h.Flags != readOnly || h.Count != 1 || h.Now != 5 {
		t.Errorf("got %+v", *h)
	}
	b.Delete(0, b.Scratch.Copy([]byte("k")))
	h = (*Header)(pointer(b.Seal(1, 2, 5)))
	if h.Flags != 0 || h.Count != 1 || (*Op)(pointer(h.Ops)).Code != Delete {
		t.Errorf("got %+v", *h)
	}
}

// TestSinkNeverMoves fills a sink past many pieces and looks at all of it again.
func TestSinkNeverMoves(t *testing.T) {
	s := NewSink()
	defer s.free()
	for round := range 3 {
		var kept [][]byte
		for i := range 500 {
			kept = append(kept, s.Copy(bytes.Repeat([]byte{byte(i)}, i*37%9000)))
		}
		kept = append(kept, s.Copy(bytes.Repeat([]byte{200}, 3<<20)))
		for i, b := range kept[:500] {
			if len(b) != i*37%9000 || len(bytes.Trim(b, string([]byte{byte(i)}))) != 0 {
				t.Fatalf("round %d: piece %d has changed", round, i)
			}
			if Addr(b)%8 != 0 {
				t.Fatalf("piece %d is not aligned", i)
			}
		}
		s.Reset()
	}
	if top := (*Piece)(pointer(s.Host)); top.Prev != 0 || top.Size > keptPieceMax {
		t.Errorf("after Reset a sink keeps %d bytes", top.Size)
	}
}

func TestResetGivesLargeBatchesBack(t *testing.T) {
	b := New()
	defer b.Close()
	key := b.Scratch.Copy([]byte("k"))
	for range keptOps * 3 {
		b.Get(0, key)
	}
	b.Reset()
	if b.Len() != 0 || b.Room() != MaxOps {
		t.Errorf("%d operations, room for %d", b.Len(), b.Room())
	}
	key = b.Scratch.Copy([]byte("k"))
	for range keptOps * 3 {
		b.Meta(0, key)
	}
	if o := b.Op(keptOps*3 - 1); o.Code != Meta || string(o.KeyBytes()) != "k" {
		t.Errorf("got %+v", *o)
	}
}

func TestOutOfRangeOperationPanics(t *testing.T) {
	b := New()
	defer b.Close()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	b.Op(0)
}

func TestStatusTexts(t *testing.T) {
	if OK.Err() != nil || NotFound.Err() != NotFound {
		t.Error("Err is nil for OK only")
	}
	if Status(77).String() != "the engine failed (status 77)" {
		t.Errorf("got %q", Status(77).String())
	}
}
