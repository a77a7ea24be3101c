package command

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"

	"kvstored/pkg/batch"
)

// dataDigest is a digest of data as Redis's DEBUG DIGEST makes it, so that the data
// of two servers can be compared: equal keys, values and databases, and expiry
// times on the same keys, have equal digests, whatever the order.
type dataDigest [sha1.Size]byte

// add puts b in, so that the order of what is added has no influence.
func (d *dataDigest) add(b []byte) {
	sum := sha1.Sum(b)
	for i := range d {
		d[i] ^= sum[i]
	}
}

// mix puts b in, so that the order of what is added counts.
func (d *dataDigest) mix(b []byte) {
	d.add(b)
	*d = sha1.Sum(d[:])
}

// mixEntry mixes in a string value, which is type 0, and whether it expires.
func (d *dataDigest) mixEntry(value []byte, expires bool) {
	d.mix(make([]byte, 4))
	d.mix(value)
	if expires {
		d.add([]byte("!!expire!!"))
	}
}

func (d *dataDigest) String() string { return hex.EncodeToString(d[:]) }

// stepDebugDigest walks all databases while the lane is held.
func stepDebugDigest(x *Exec, _ *Reply) {
	var all dataDigest
	for db := range uint32(Databases) {
		begun := false
		ok := x.walkValues(db, func(it *batch.Item) bool {
			if !begun {
				all.mix(binary.BigEndian.AppendUint32(nil, db))
				begun = true
			}
			var one dataDigest
			one.mix(it.KeyBytes())
			one.mixEntry(it.ValueBytes(), it.Expiry != 0)
			all.add(one[:])
			return true
		})
		if !ok {
			return
		}
		if !x.Store.Has(CapSpaces) {
			break
		}
	}
	x.W.Status(all.String())
}

// stepDebugDigestValue answers with the digests of values, zeros without a key.
func stepDebugDigestValue(x *Exec, r *Reply) {
	keys := r.Args[2:]
	digests := make([]dataDigest, len(keys))
	for i, key := range keys {
		op := x.Batch.Get(r.DB, key)
		if !x.run(r) {
			return
		}
		if o := x.Batch.Op(op); o.Status == batch.OK {
			digests[i].mixEntry(o.ValueBytes(), o.Expiry != 0)
			if o.Pin != 0 {
				x.Release(o.Pin)
			}
		}
	}
	x.W.Array(len(digests))
	for i := range digests {
		x.W.Status(digests[i].String())
	}
}
