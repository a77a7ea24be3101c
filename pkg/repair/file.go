package repair

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/zeebo/xxh3"
)

// file is one log or base that is being read.
type file struct {
	name string
	kind uint32
	f    *os.File
	size int64
	head fileHead
	// headBad says what is wrong with the head; "" when it is whole.
	headBad string
	// known tells that head.id is the file's: frames can be checked.
	known bool
	buf   []byte
}

// openFile opens a file of the directory and reads its head.
func openFile(dir, name string, kind uint32, number uint64) (*file, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	fl := &file{name: name, kind: kind, f: f, size: info.Size()}
	head := make([]byte, fileHeadSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		fl.headBad = "its head cannot be read: " + reason(err)
		return fl, nil
	}
	if n < fileHeadSize {
		fl.headBad = "the file ends in its head"
		return fl, nil
	}
	fl.head, fl.known = parseFileHead(head)
	switch {
	case !fl.known:
		fl.headBad = "its head fails its checksum"
	case fl.head.kind != kind || fl.head.number != number:
		fl.headBad = "its name is not the one that its head gives"
	}
	return fl, nil
}

func (fl *file) close() { fl.f.Close() }

// reason is an error of a file without its name.
func reason(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// guessPiece is how much of a file an id is tried on.
const guessPiece = 8 << 20

// guess finds the id of a file whose head is damaged: it may stand there
// nevertheless, perhaps but for one byte, or follow from those of other files.
func (fl *file) guess(others []fileHead) bool {
	start := make([]byte, min(fl.size, guessPiece))
	n, _ := fl.f.ReadAt(start, 0)
	var heads [][]byte // places where a frame may begin
	for at := fileHeadSize; at+frameHeadSize <= n && len(heads) < 1000; at += 8 {
		if le.Uint32(start[at:]) == frameMagic {
			heads = append(heads, start[at:at+frameHeadSize])
		}
	}
	fits := func(id uint64) bool {
		for _, head := range heads {
			if _, whole := parseFrameHead(head, id); whole {
				fl.head.id, fl.known = id, true
				return true
			}
		}
		return false
	}
	id := fl.head.id
	if fits(id) {
		return true
	}
	for _, h := range others {
		for i, next := 0, h.id; i < 4; i++ {
			if next = nextID(next, h.store); fits(next) {
				return true
			}
		}
	}
	for bit := 0; bit < 64; bit += 8 {
		for change := uint64(1); change < 256; change++ {
			if fits(id ^ change<<bit) {
				return true
			}
		}
	}
	return false
}

// frame is a frame with its place; body is good until the next one is read.
type frame struct {
	frameHead
	at, next int64
	body     []byte
	lost     uint64 // bytes that are missing before it; MaxUint64: it may be any number
}

// read reads and checks the frame at a place. When it is damaged it says why;
// headWhole tells that the head is good, so that the frame's end is known.
func (fl *file) read(at int64) (fr frame, why string, headWhole bool) {
	var head [frameHeadSize]byte
	if at+frameHeadSize > fl.size {
		return fr, "the file ends in the middle of a frame", false
	}
	if _, err := fl.f.ReadAt(head[:], at); err != nil {
		return fr, "it cannot be read: " + reason(err), false
	}
	h, whole := parseFrameHead(head[:], fl.head.id)
	if !whole {
		return fr, "a frame's head fails its checksum", false
	}
	fr = frame{frameHead: h, at: at}
	body := at + frameHeadSize
	if h.length > uint64(fl.size-body) {
		fr.next = fl.size
		return fr, "the file ends in the middle of a frame", true
	}
	fr.next = min((body+int64(h.length)+7)&^7, fl.size)
	n := int(fr.next - body)
	if n > cap(fl.buf) {
		fl.buf = make([]byte, n+n/4)
	}
	all := fl.buf[:n]
	if _, err := fl.f.ReadAt(all, body); err != nil {
		return fr, "it cannot be read: " + reason(err), true
	}
	fr.body = all[:h.length]
	if xxh3.HashSeed(fr.body, fl.head.id) != h.body || len(bytes.Trim(all[h.length:], "\x00")) > 0 || (body+int64(h.length)+7)&^7 > fl.size {
		return fr, "a frame fails its checksum", true
	}
	return fr, "", true
}

const searchPiece = 1 << 20

// seek finds the next frame whose head is whole, from a place on. What cannot
// be read is passed over.
func (fl *file) seek(from int64) (h frameHead, at int64, found bool) {
	buf := make([]byte, searchPiece+frameHeadSize)
	for at = (from + 7) &^ 7; at+frameHeadSize <= fl.size; {
		piece := buf[:min(int64(len(buf)), fl.size-at)]
		n, err := fl.f.ReadAt(piece, at)
		if err != nil && !errors.Is(err, io.EOF) && n < frameHeadSize {
			at += 512 // a sector that cannot be read
			continue
		}
		i := 0
		for ; i+frameHeadSize <= n; i += 8 {
			if le.Uint32(piece[i:]) != frameMagic {
				continue
			}
			if h, found = parseFrameHead(piece[i:], fl.head.id); found {
				return h, at + int64(i), true
			}
		}
		if i == 0 {
			break
		}
		at += int64(i)
	}
	return h, 0, false
}

// span is a damaged part of a file.
type span struct {
	at, end int64
	why     string
	frames  []frameHead // whose heads are whole
	keys    []Key       // that they seem to name
}

// walk calls good for each whole frame and bad for each damaged part, in order,
// until one of them returns false.
func (fl *file) walk(good func(frame) bool, bad func(span) bool) {
	for at := int64(fileHeadSize); at < fl.size; {
		fr, why, headWhole := fl.read(at)
		if why == "" {
			if !good(fr) {
				return
			}
			at = fr.next
			continue
		}
		s := span{at: at, why: why}
		at = fl.skip(&s, fr, headWhole)
		if !bad(s) {
			return
		}
	}
}

// skip goes on to where a whole frame stands again, noting what it passes.
func (fl *file) skip(s *span, fr frame, headWhole bool) int64 {
	for {
		from := s.at + 8
		if headWhole {
			s.frames = append(s.frames, fr.frameHead)
			if fr.kind == frameRecords {
				eachRecord(fr.body, func(r record) {
					if len(s.keys) < keysMost && r.kind != recordClear && r.kind != recordStage {
						s.keys = append(s.keys, newKey(r.space, r.key))
					}
				})
			}
			from = fr.next
		}
		_, at, found := fl.seek(from)
		if !found {
			s.end = fl.size
			return s.end
		}
		var why string
		if fr, why, headWhole = fl.read(at); why == "" {
			s.end = at
			return at
		}
		if !headWhole { // cannot be: its head was found
			s.end = fl.size
			return s.end
		}
	}
}
