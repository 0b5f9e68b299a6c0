package report

// BIGLOBE: the addresses in one section, why in the next.
//
//	----- The following addresses had delivery problems -----
//	bob@example.com
//
//	----- Non-delivered information -----
//	The number of messages in recipient's mailbox exceeded the local limit.
var biglobeNotice = notice{
	intro:  known("----- The following addresses had delivery problems -----"),
	begin:  []byte("----- The following addresses had delivery problems -----"),
	reason: [][]byte{[]byte("----- Non-delivered information -----")},
}
