package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"carom/pipeline/kafka"
)

// node is a YAML mapping; its methods fail the test where the document is not of the structure that AsyncAPI 3.0 has.
type node struct {
	t    testing.TB
	at   string
	data map[string]any
}

func asyncAPI(t testing.TB) node {
	t.Helper()
	b, err := os.ReadFile("asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n := node{t: t, at: "asyncapi.yaml"}
	if err := yaml.Unmarshal(b, &n.data); err != nil {
		t.Fatal(err)
	}
	return n
}

// child returns the mapping at a member.
func (n node) child(name string) node {
	n.t.Helper()
	m, ok := n.data[name].(map[string]any)
	if !ok {
		n.t.Fatalf("%s: %s is %T, want a mapping", n.at, name, n.data[name])
	}
	return node{n.t, n.at + "/" + name, m}
}

func (n node) text(name string) string {
	n.t.Helper()
	s, ok := n.data[name].(string)
	if !ok || s == "" {
		n.t.Fatalf("%s: %s is %v, want a text", n.at, name, n.data[name])
	}
	return s
}

// only refuses members that AsyncAPI does not know there.
func (n node) only(names ...string) {
	n.t.Helper()
	for name := range n.data {
		if !slices.Contains(names, name) && !strings.HasPrefix(name, "x-") {
			n.t.Errorf("%s: AsyncAPI has no member %s there", n.at, name)
		}
	}
}

// resolve follows a reference, within the document or to a file beside it.
func (n node) resolve(root node, ref string) any {
	n.t.Helper()
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		if _, err := os.Stat(ref); err != nil {
			n.t.Errorf("%s: %v", n.at, err)
		}
		return nil
	}
	var v any = root.data
	for name := range strings.SplitSeq(path, "/") {
		m, _ := v.(map[string]any)
		if v = m[name]; v == nil {
			n.t.Fatalf("%s: there is no %s", n.at, ref)
		}
	}
	return v
}

// references collects all of a document's.
func references(v any, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			found[ref] = true
		}
		for _, value := range v {
			references(value, found)
		}
	case []any:
		for _, value := range v {
			references(value, found)
		}
	}
}

func TestAsyncAPIStructure(t *testing.T) {
	doc := asyncAPI(t)
	doc.only("asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components")
	if v := doc.text("asyncapi"); v != "3.0.0" {
		t.Errorf("version %s", v)
	}
	doc.child("info").text("title")
	doc.child("info").text("version")
	server := doc.child("servers").child("yours")
	if server.text("protocol") != "kafka" || !strings.Contains(server.text("host"), "example.com") {
		t.Errorf("server: %v", server.data)
	}
	found := map[string]bool{}
	references(doc.data, found)
	for ref := range found {
		doc.resolve(doc, ref)
	}
	for _, name := range schemaNames(t) {
		if !found["schemas/"+name] {
			t.Errorf("asyncapi.yaml does not refer to schemas/%s", name)
		}
	}
	messages := doc.child("components").child("messages")
	for name := range messages.data {
		m := messages.child(name)
		m.only("name", "title", "summary", "description", "contentType", "headers", "payload", "correlationId", "tags", "bindings", "examples", "traits")
		m.text("contentType")
		m.child("payload").only("schemaFormat", "schema")
		m.child("payload").text("schemaFormat")
		m.child("payload").child("schema").text("$ref")
		if !found["#/components/messages/"+name] {
			t.Errorf("no channel has the message %s", name)
		}
	}
}

// Each operation is of one channel and of messages of that channel, and each message has an operation.
func TestAsyncAPIOperations(t *testing.T) {
	doc := asyncAPI(t)
	sent := map[string]bool{}
	for name := range doc.child("operations").data {
		o := doc.child("operations").child(name)
		o.only("action", "channel", "title", "summary", "description", "security", "tags", "externalDocs", "bindings", "traits", "messages", "reply")
		if o.text("action") != "send" {
			t.Errorf("%s: %s", name, o.text("action"))
		}
		channel := o.child("channel").text("$ref")
		list, _ := o.data["messages"].([]any)
		for _, m := range list {
			ref, _ := m.(map[string]any)["$ref"].(string)
			if !strings.HasPrefix(ref, channel+"/messages/") {
				t.Errorf("%s: %s is no message of %s", name, ref, channel)
			}
			sent[ref] = true
		}
	}
	for name := range doc.child("channels").data {
		for message := range doc.child("channels").child(name).child("messages").data {
			if ref := "#/channels/" + name + "/messages/" + message; !sent[ref] {
				t.Errorf("nothing sends %s", ref)
			}
		}
	}
}

// The topics are those of the code, with its settings, and each of them is described.
func TestAsyncAPITopics(t *testing.T) {
	doc := asyncAPI(t)
	channels := doc.child("channels")
	left := maps.Clone(channels.data)
	for _, spec := range kafka.Default().Specs() {
		name, _ := strings.CutPrefix(spec.Name, "carom.")
		delete(left, name)
		c := channels.child(name)
		c.only("address", "messages", "title", "summary", "description", "servers", "parameters", "tags", "externalDocs", "bindings")
		if c.text("address") != spec.Name {
			t.Errorf("%s: its address is %s", spec.Name, c.text("address"))
		}
		binding := c.child("bindings").child("kafka")
		binding.only("topic", "partitions", "replicas", "topicConfiguration", "bindingVersion")
		if binding.data["partitions"] != spec.Partitions || binding.data["replicas"] != spec.Replication {
			t.Errorf("%s: %v partitions, %v replicas: the code has %d and %d", spec.Name, binding.data["partitions"], binding.data["replicas"], spec.Partitions, spec.Replication)
		}
		topic := binding.child("topicConfiguration")
		topic.only("cleanup.policy", "retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes")
		got, want := map[string]string{}, map[string]string{}
		for _, settings := range []node{topic, c.child("x-topic-configuration")} {
			for key, value := range settings.data {
				if list, ok := value.([]any); ok {
					value = list[0]
				}
				got[key] = fmt.Sprint(value)
			}
		}
		for _, config := range spec.Configs {
			want[config.Key] = config.Value
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: asyncapi.yaml has\n%v\nthe code\n%v", spec.Name, got, want)
		}
	}
	if len(left) > 0 {
		t.Errorf("the code has no topics %v", slices.Sorted(maps.Keys(left)))
	}
}
