package deploy_test

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"carom/pipeline/event"
)

// rawProto compiles the published file.
func rawProto(t testing.TB) protoreflect.FileDescriptor {
	t.Helper()
	c := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{"schemas"}}}
	files, err := c.Compile(context.Background(), "raw.proto")
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

// decode reads a value as the file's comments say: a first byte, then the message.
func decode(t testing.TB, file protoreflect.FileDescriptor, name protoreflect.Name, first byte, value []byte) *dynamicpb.Message {
	t.Helper()
	if len(value) == 0 || value[0] != first {
		t.Fatalf("%s begins with %x, want %#x", name, value[:min(1, len(value))], first)
	}
	m := dynamicpb.NewMessage(file.Messages().ByName(name))
	if err := proto.Unmarshal(value[1:], m); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		t.Errorf("%s: raw.proto does not describe the fields %x", name, unknown)
	}
	return m
}

// fields returns the message's fields by name: numbers as uint64, texts as string, lists as []string.
func fields(m *dynamicpb.Message) map[string]any {
	all := map[string]any{}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(f.Name())
		switch {
		case f.IsList():
			var list []string
			for i := range v.List().Len() {
				list = append(list, string(v.List().Get(i).Bytes()))
			}
			all[name] = strings.Join(list, "|")
		case f.Kind() == protoreflect.BytesKind:
			all[name] = string(v.Bytes())
		case f.Kind() == protoreflect.EnumKind:
			all[name] = uint64(v.Enum())
		case f.Kind() == protoreflect.BoolKind:
			all[name] = protowire.EncodeBool(v.Bool())
		case f.Kind() == protoreflect.Int64Kind:
			all[name] = uint64(v.Int())
		default:
			all[name] = v.Uint()
		}
		return true
	})
	return all
}

// want returns the same of the event itself.
func want(e *event.Event) map[string]any {
	b := protowire.EncodeBool
	all := map[string]any{
		"kind": uint64(e.Kind), "time": uint64(e.Time), "key": string(e.Key[:]), "known_by": uint64(e.KnownBy),
		"account": e.Account, "sender": e.Sender, "sequence": e.Sequence, "contact": e.Contact, "message": e.Message,
		"link": uint64(e.Link), "url": e.URL, "sent_at": uint64(e.SentAt), "ip": string(e.Client.IP.AsSlice()), "user_agent": e.Client.UserAgent,
		"verdict": uint64(e.Actor.Verdict), "flags": uint64(e.Flags), "client_hash": e.Client.Hash, "recipient": e.Recipient,
		"via": e.Actor.Via, "hard": b(e.Bounce.Hard), "category": e.Bounce.Category, "status": e.Bounce.Status, "reply_code": e.Bounce.ReplyCode,
		"action": e.Bounce.Action, "remote_mta": e.Bounce.RemoteMTA, "diagnostic": e.Bounce.Diagnostic, "provider": e.Bounce.Provider,
		"rule": e.Bounce.Rule, "body": string(e.Body),
		"mail_id": e.Mail.ID, "mail_from": e.Mail.From, "feedback_type": e.Mail.FeedbackType,
		"reply_address": b(e.Mail.ReplyAddress), "references": b(e.Mail.References),
		"address_hash": e.Client.AddressHash, "soon_within": uint64(e.Soon.Within), "soon_verdict": uint64(e.Soon.Verdict),
	}
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == "" || v == uint64(0) })
	if len(e.Links) > 0 {
		all["links"] = strings.Join(e.Links, "|")
	}
	if len(e.Actor.Reasons) > 0 {
		all["reasons"] = strings.Join(e.Actor.Reasons, "|")
	}
	return all
}

// Real bytes, read by the published names.
func TestRawProto(t *testing.T) {
	r := newRandom(t)
	file := rawProto(t)
	seen := map[string]bool{}
	for range 200 {
		for _, kind := range rawKinds() {
			e := raw(r, kind)
			value := envelope(event.Source{Incarnation: [16]byte{1, 15: 2}, Sequence: r.Uint64(), Node: "edge-1"}, e.AppendBinary(nil))
			outer := fields(decode(t, file, "Envelope", 0xC1, value))
			if outer["node"] != "edge-1" || len(outer["incarnation"].(string)) != 16 {
				t.Fatalf("envelope: %q", outer)
			}
			got := fields(decode(t, file, "Event", 1, []byte(outer["event"].(string))))
			if want := want(&e); !maps.Equal(got, want) {
				t.Fatalf("got  %q\nwant %q", got, want)
			}
			for name := range got {
				seen[name] = true
			}
		}
	}
	if n := file.Messages().ByName("Event").Fields().Len(); len(seen) != n {
		t.Errorf("%d fields were seen, raw.proto has %d", len(seen), n)
	}
}

// envelope writes what pipeline/kafka writes; TestRawProtoNumbers holds its numbers against it.
func envelope(src event.Source, ev []byte) []byte {
	b := []byte{0xC1}
	if src != (event.Source{}) {
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), src.Incarnation[:])
		b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), src.Sequence)
		b = protowire.AppendString(protowire.AppendTag(b, 3, protowire.BytesType), src.Node)
	}
	return protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), ev)
}

// The numbers of raw.proto are those of the code.
func TestRawProtoNumbers(t *testing.T) {
	file := rawProto(t)
	for _, test := range []struct {
		message      protoreflect.Name
		file, prefix string
	}{
		{"Event", "pipeline/event/binary.go", "field"},
		{"Envelope", "pipeline/kafka/envelope.go", "raw"},
	} {
		code := map[string]string{}
		for name, number := range constants(t, test.file, test.prefix) {
			if name == "Version" {
				if n, err := strconv.ParseUint(number, 0, 8); err != nil || n != 0xC1 {
					t.Errorf("an envelope begins with %s", number)
				}
				continue
			}
			code[strings.ToLower(name)] = number
		}
		published := map[string]string{}
		list := file.Messages().ByName(test.message).Fields()
		for i := range list.Len() {
			f := list.Get(i)
			published[strings.ReplaceAll(string(f.Name()), "_", "")] = strconv.Itoa(int(f.Number()))
		}
		if !maps.Equal(code, published) {
			t.Errorf("%s: %s has %v, raw.proto %v", test.message, test.file, code, published)
		}
	}
	var e event.Event
	if first := e.AppendBinary(nil)[0]; first != 1 {
		t.Errorf("an event begins with %d", first)
	}
}

// The numbers of its enums are those of the code.
func TestRawProtoEnums(t *testing.T) {
	file := rawProto(t)
	code := map[protoreflect.Name]map[string]int{
		"Kind": {"NO_KIND": 0}, "KnownBy": {"UNTIED": 0}, "Verdict": {},
		"Flag": {
			"NO_FLAG": 0, "TRANSACTIONAL": int(event.Transactional), "ANONYMOUS": int(event.Anonymous), "SHARED": int(event.Shared),
			"UNTRACKED": int(event.Untracked), "HONEYPOT": int(event.Honeypot), "NOT_SENT": int(event.NotSent),
		},
	}
	for n := range math.MaxUint8 + 1 {
		if name := event.Kind(n).String(); name != "" && slices.Contains(rawKinds(), event.Kind(n)) {
			code["Kind"][strings.ToUpper(name)] = n
		}
		if name := event.KnownBy(n).String(); name != "" {
			code["KnownBy"]["BY_"+strings.ToUpper(name)] = n
		}
		if name := event.Verdict(n).String(); name != "" {
			code["Verdict"][strings.ToUpper(name)] = n
		}
	}
	code["Verdict"]["NO_VERDICT"] = int(event.NoVerdict)
	for name, want := range code {
		got := map[string]int{}
		values := file.Enums().ByName(name).Values()
		for i := range values.Len() {
			got[string(values.Get(i).Name())] = int(values.Get(i).Number())
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: raw.proto has %v, the code %v", name, got, want)
		}
	}
}
