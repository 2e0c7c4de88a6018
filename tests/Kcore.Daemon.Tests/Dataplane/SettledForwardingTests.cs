using System.Net.NetworkInformation;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;

namespace Kcore.Daemon.Tests.Dataplane;

public sealed class SettledForwardingTests
{
    private static readonly DataplanePlan _nothing = new([], [], null, [], []);

    private readonly DesiredState _desired = new();
    private readonly SettledForwarding _settled = new();

    private readonly ObservedState _seen = Seen(
        (new Link.Bridge("kbr-a", 1450, true, null, PhysicalAddress.None), New()),
        (new Link.Tap("tap-a1", 1450, true, null, "kbr-a"), New()),
        (new Link.Tap("tap-a2", 1450, true, null, "kbr-a"), New()),
        (new Link.Bridge("kbr-b", 1450, true, null, PhysicalAddress.None), New()),
        (new Link.Tap("tap-b1", 1450, true, null, "kbr-b"), New()));

    [Fact]
    public void Nothing_is_settled_before_a_look_left_nothing_to_do()
    {
        Assert.Empty(_settled.Mark(_desired, _seen).Settled);
        _settled.Note(_desired, _seen, _nothing with { Steps = [new DataplaneStep.RestoreSysctl("net/x", "1", new Origin("", null, ""))] });
        Assert.Empty(_settled.Mark(_desired, _seen).Settled);
        _settled.Note(_desired, _seen, _nothing with { HeldBack = [new DataplaneStep.RestoreSysctl("net/x", "1", new Origin("", null, ""))] });
        Assert.Empty(_settled.Mark(_desired, _seen).Settled);
    }

    [Fact]
    public void The_same_entries_on_the_same_devices_are_settled_as_long_as_the_same_is_wanted()
    {
        _settled.Note(_desired, _seen, _nothing);

        Assert.Equal(["kbr-a", "kbr-b", "tap-a1", "tap-a2", "tap-b1"], _settled.Mark(_desired, _seen).Settled.Order(StringComparer.Ordinal));
        Assert.Empty(_settled.Mark(new DesiredState(), _seen).Settled);
    }

    [Fact]
    public void Other_entries_on_a_device_unsettle_all_that_share_its_bridge_and_no_others()
    {
        _settled.Note(_desired, _seen, _nothing);

        ObservedState changed = _settled.Mark(_desired, Seen([.. _seen.Owned.Links.Select(l => (l, l.Name == "tap-a1" ? New() : _seen.Forwarding[l.Name]))]));
        Assert.Equal(["kbr-b", "tap-b1"], changed.Settled.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_device_that_came_went_or_changed_its_bridge_unsettles_the_bridges_concerned()
    {
        _settled.Note(_desired, _seen, _nothing);
        (Link, DeviceForwarding)[] all = [.. _seen.Owned.Links.Select(l => (l, _seen.Forwarding[l.Name]))];

        Assert.Equal(["kbr-b", "tap-b1"], Marked(all.Where(l => l.Item1.Name != "tap-a2")));
        Assert.Equal(["kbr-a", "tap-a1", "tap-a2"], Marked(all.Append((new Link.Tap("tap-b2", 1450, true, null, "kbr-b"), New()))));
        Assert.Empty(Marked(all.Select(l => l.Item1.Name == "tap-b1" ? (new Link.Tap("tap-b1", 1450, true, null, "kbr-a"), l.Item2) : l)));
    }

    [Fact]
    public void What_was_refused_was_not_compared_and_is_not_settled()
    {
        DesiredState desired = _desired with { Links = [.. _seen.Owned.Links.Select(l => new Wanted<Link>(l, new Origin(l.Name is "kbr-b" or "tap-b1" ? "b" : "a", null, "")))] };
        _settled.Note(desired, _seen, _nothing with { Refusals = [new Refusal("a", null, Blocks: true, "link", "kbr-a", "in the way")] });

        Assert.Equal(["kbr-b", "tap-b1"], _settled.Mark(desired, _seen).Settled.Order(StringComparer.Ordinal));
    }

    private IEnumerable<string> Marked(IEnumerable<(Link, DeviceForwarding)> devices) =>
        _settled.Mark(_desired, Seen([.. devices])).Settled.Order(StringComparer.Ordinal);

    private static DeviceForwarding New() => new([], []);

    private static ObservedState Seen(params (Link Link, DeviceForwarding Entries)[] devices) => new()
    {
        Owned = new NetworkState { Links = [.. devices.Select(d => d.Link)] },
        Forwarding = devices.ToDictionary(d => d.Link.Name, d => d.Entries, StringComparer.Ordinal),
    };
}
