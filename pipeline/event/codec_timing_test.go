package event

import "testing"

func BenchmarkAppendBinary(b *testing.B) {
	e, buf := fullEvent(), make([]byte, 0, 4096)
	b.SetBytes(int64(len(e.AppendBinary(nil))))
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendBinary(buf[:0])
	}
}

func BenchmarkDecodeBinary(b *testing.B) {
	e := fullEvent()
	src := e.AppendBinary(nil)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if err := e.DecodeBinary(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	r, buf := fullRefined(), make([]byte, 0, 4096)
	b.SetBytes(int64(len(r.AppendJSON(nil))))
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendJSON(buf[:0])
	}
}

func BenchmarkDecodeJSON(b *testing.B) {
	r := fullRefined()
	src := r.AppendJSON(nil)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if err := r.DecodeJSON(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIdentityOf(b *testing.B) {
	e := fullEvent()
	e.Kind = Bounce
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := IdentityOf(&e); !ok {
			b.Fatal("no identity")
		}
	}
}
