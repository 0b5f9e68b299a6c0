package bot

import (
	"time"

	"carom/pipeline/event"
)

// earlyWindow is how soon after sending an image proxy's open may be the provider's own look at the mail as well as
// its reader's. Source: a handful of published measurements; beyond a minute nobody reported one.
const earlyWindow = 60 * time.Second

// earlyReasons explain a verdict of Early.
var earlyReasons = []string{"agent_image_proxy", "early"}

// Early takes back the verdict on an image proxy's open that comes too soon after the mail was sent. It is apart from
// Judge because it needs the time of sending, which the reference tells and not the request. The actor's reasons are
// shared.
func Early(kind event.Kind, actor event.Actor, sentAt, at event.Millis) event.Actor {
	if kind != event.Open || actor.Verdict != event.Human || actor.Via == "" || sentAt == 0 || at >= sentAt.Add(earlyWindow) {
		return actor
	}
	actor.Verdict, actor.Reasons = event.Unknown, earlyReasons
	return actor
}
