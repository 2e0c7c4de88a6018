using System.Net;
using Kcore.Daemon.Cluster.Discovery;

namespace Kcore.Daemon.Tests.Cluster.Discovery;

public sealed class MdnsEngineTests
{
    private static readonly Announcement Own = DnsCodecTests.Node;
    private static readonly Announcement Other = Own with { NodeUid = 0xCD, GossipPort = 1_000 };
    private static readonly MdnsInterface Eth0 = new("eth0", 2, [new MdnsSubnet(IPAddress.Parse("10.0.0.1"), 24)]);
    private static readonly MdnsInterface Eth1 = new("eth1", 3, [new MdnsSubnet(IPAddress.Parse("10.0.1.1"), 24)]);
    private static readonly IPEndPoint Neighbour = new(IPAddress.Parse("10.0.0.2"), 5353);

    private readonly MdnsEngine _engine = new(new Random(1));
    private readonly List<(TimeSpan At, MdnsEffect Effect)> _trace = [];
    private TimeSpan _now;

    [Fact]
    public void A_node_announces_itself_twice_a_second_apart_on_every_interface()
    {
        _engine.Announce(Own, _now);
        _engine.SetInterfaces([Eth0, Eth1], _now);
        RunUntil(TimeSpan.FromSeconds(10));

        Assert.Equal([TimeSpan.Zero, TimeSpan.FromSeconds(1)], Responses(2));
        Assert.Equal([TimeSpan.Zero, TimeSpan.FromSeconds(1)], Responses(3));
    }

    [Fact]
    public void A_change_is_announced_again()
    {
        _engine.Announce(Own, _now);
        _engine.SetInterfaces([Eth0], _now);
        RunUntil(TimeSpan.FromSeconds(10));
        _engine.Announce(Own with { IsVirgin = false }, _now);
        RunUntil(TimeSpan.FromSeconds(20));

        Assert.Equal([0, 1, 10, 11], Responses(2).Select(t => t.TotalSeconds));
    }

    [Fact]
    public void Queries_back_off_to_a_minute_and_never_end()
    {
        _engine.SetInterfaces([Eth0], _now);
        RunUntil(TimeSpan.FromSeconds(400));

        int[] seconds = [.. Queries().Select(query => (int)query.At.TotalSeconds)];
        int[] gaps = [.. seconds.Zip(seconds.Skip(1), (a, b) => b - a)];
        Assert.True(Queries()[0].At <= TimeSpan.FromMilliseconds(120));
        Assert.Equal([1, 2, 4, 8, 16, 32], gaps[..6].Zip([1, 2, 4, 8, 16, 32], (gap, want) => gap - want is 0 or 1 ? want : gap));
        Assert.True(gaps.Length > 8);
        Assert.All(gaps[6..], gap => Assert.InRange(gap, 60, 61));
    }

    [Fact]
    public void A_query_is_answered_soon_and_at_most_once_a_second()
    {
        Settle();
        HandleQuery();
        HandleQuery();
        RunUntil(_now + TimeSpan.FromMilliseconds(200));
        Assert.Single(_trace, t => IsResponse(t.Effect));
        HandleQuery();
        RunUntil(_now + TimeSpan.FromMilliseconds(700));
        Assert.Single(_trace, t => IsResponse(t.Effect));
        RunUntil(_now + TimeSpan.FromMilliseconds(500));
        Assert.Equal(2, _trace.Count(t => IsResponse(t.Effect)));
    }

    [Theory]
    [InlineData(120, 0)]
    [InlineData(60, 0)]
    [InlineData(59, 1)]
    public void An_asker_that_knows_us_for_long_enough_gets_no_answer(int knownSeconds, int answers)
    {
        Settle();
        HandleQuery(new DnsRecord.Pointer(
            KcoreService.ServiceName, TimeSpan.FromSeconds(knownSeconds), KcoreService.InstanceName(Own.NodeUid)));
        RunUntil(_now + TimeSpan.FromMilliseconds(500));

        Assert.Equal(answers, _trace.Count(t => IsResponse(t.Effect)));
    }

    [Fact]
    public void Our_own_query_come_back_is_not_answered()
    {
        Settle();
        RunUntil(_now + TimeSpan.FromSeconds(60));
        DnsMessage query = Assert.IsType<MdnsEffect.Send>(Queries()[^1].Effect).Message;
        _trace.Clear();
        Handle(query, new IPEndPoint(IPAddress.Parse("10.0.0.1"), 5353));
        RunUntil(_now + TimeSpan.FromMilliseconds(500));

        Assert.DoesNotContain(_trace, t => IsResponse(t.Effect));
    }

    [Fact]
    public void Questions_about_others_are_not_ours_to_answer()
    {
        Settle();
        Handle(new DnsMessage(0, false, [new DnsQuestion("_http._tcp.local", DnsType.Ptr)], [], []), Neighbour);
        Handle(new DnsMessage(0, false, [new DnsQuestion(KcoreService.InstanceName(0xCD), DnsType.Srv)], [], []), Neighbour);
        RunUntil(_now + TimeSpan.FromMilliseconds(500));

        Assert.DoesNotContain(_trace, t => IsResponse(t.Effect));
    }

    [Fact]
    public void A_sighting_is_repeated_with_each_query_until_the_peer_has_been_silent_for_its_time_to_live()
    {
        _engine.SetInterfaces([Eth0], _now);
        HandleResponse(Other);
        Assert.Equal(Other, Assert.Single(Sightings()).Node);
        RunUntil(TimeSpan.FromSeconds(119));
        int whileFresh = Sightings().Count;
        RunUntil(TimeSpan.FromSeconds(600));

        Assert.InRange(whileFresh, 6, 10);
        Assert.Equal(whileFresh, Sightings().Count);
    }

    [Fact]
    public void A_goodbye_is_reported_and_ends_the_repetition()
    {
        _engine.SetInterfaces([Eth0], _now);
        HandleResponse(Other);
        Handle(KcoreService.Describe(Other, [Neighbour.Address], TimeSpan.Zero), Neighbour);
        RunUntil(TimeSpan.FromSeconds(100));

        Assert.Equal([false, true], Sightings().Select(peer => peer.IsGoodbye));
    }

    [Fact]
    public void Our_own_announcement_come_back_is_no_sighting_and_neither_is_one_from_another_port()
    {
        Settle();
        Handle(KcoreService.Describe(Own, [IPAddress.Parse("10.0.0.1")], KcoreService.TimeToLive), new IPEndPoint(IPAddress.Parse("10.0.0.1"), 5353));
        Handle(KcoreService.Describe(Other, [Neighbour.Address], KcoreService.TimeToLive), new IPEndPoint(Neighbour.Address, 999));

        Assert.Empty(Sightings());
    }

    [Fact]
    public void Our_own_uid_in_somebody_elses_mouth_is_a_sighting_for_it_is_a_copied_disk()
    {
        Settle();
        HandleResponse(Own);

        Assert.Equal(Own.NodeUid, Assert.Single(Sightings()).Node.NodeUid);
    }

    [Fact]
    public void A_plain_resolver_on_the_link_gets_its_own_answer_and_one_beyond_gets_none()
    {
        Settle();
        var query = new DnsMessage(77, false, [new DnsQuestion(KcoreService.ServiceName, DnsType.Ptr)], [], []);
        Handle(query, new IPEndPoint(IPAddress.Parse("8.8.8.8"), 40_000));
        Assert.Empty(_trace);
        Handle(query, new IPEndPoint(IPAddress.Parse("10.0.0.77"), 40_000));
        Handle(query, new IPEndPoint(IPAddress.Parse("10.0.0.77"), 40_000));

        var send = Assert.IsType<MdnsEffect.Send>(Assert.Single(_trace).Effect);
        Assert.Equal(new IPEndPoint(IPAddress.Parse("10.0.0.77"), 40_000), send.To);
        Assert.Equal(77, send.Message.Id);
        Assert.Equal(query.Questions.ToArray(), send.Message.Questions.ToArray());
        Assert.All(send.Message.Records, record => Assert.Equal(TimeSpan.FromSeconds(10), record.TimeToLive));
        string bytes = Convert.ToHexString(DnsWriter.Write(send.Message));
        Assert.DoesNotContain("8001", bytes, StringComparison.Ordinal);
    }

    [Fact]
    public void A_new_address_is_announced_and_an_interface_that_went_is_forgotten()
    {
        Settle();
        MdnsInterface moved = Eth0 with { Subnets = [new MdnsSubnet(IPAddress.Parse("10.9.0.1"), 24)] };
        _engine.SetInterfaces([moved], _now);
        RunUntil(_now + TimeSpan.FromSeconds(3));
        var told = Assert.IsType<MdnsEffect.Send>(_trace.First(t => IsResponse(t.Effect)).Effect).Message;
        Assert.Equal(IPAddress.Parse("10.9.0.1"), Assert.Single(told.Records.OfType<DnsRecord.Address>()).Value);

        _engine.SetInterfaces([], _now);
        Assert.Equal(TimeSpan.MaxValue, _engine.NextDeadline);
    }

    [Fact]
    public void Stopping_says_goodbye_on_every_interface()
    {
        _engine.Announce(Own, _now);
        _engine.SetInterfaces([Eth0, Eth1], _now);
        List<MdnsEffect> effects = [];
        _engine.Stop(effects);

        Assert.Equal([2, 3], effects.Cast<MdnsEffect.Send>().Select(send => send.InterfaceIndex));
        Assert.All(effects.Cast<MdnsEffect.Send>().SelectMany(send => send.Message.Records), r => Assert.Equal(TimeSpan.Zero, r.TimeToLive));
    }

    [Fact]
    public void A_crowd_of_made_up_nodes_does_not_fill_the_memory_or_the_query()
    {
        _engine.SetInterfaces([Eth0], _now);
        for (int i = 0; i < 2_000; i++)
        {
            HandleResponse(Other with { NodeUid = (UInt128)(i + 1_000) });
        }

        _trace.Clear();
        RunUntil(TimeSpan.FromSeconds(1));
        Assert.Equal(256, Sightings().Count);
        Assert.InRange(DnsWriter.Write(((MdnsEffect.Send)Queries()[0].Effect).Message).Length, 1, 1_400);
    }

    private void Settle()
    {
        _engine.Announce(Own, _now);
        _engine.SetInterfaces([Eth0], _now);
        RunUntil(TimeSpan.FromSeconds(130));
        _trace.Clear();
    }

    private void HandleQuery(params DnsRecord[] known) =>
        Handle(new DnsMessage(0, false, [new DnsQuestion(KcoreService.ServiceName, DnsType.Ptr)], [.. known], []), Neighbour);

    private void HandleResponse(Announcement node) =>
        Handle(KcoreService.Describe(node, [Neighbour.Address], KcoreService.TimeToLive), Neighbour);

    private void Handle(DnsMessage message, IPEndPoint from)
    {
        List<MdnsEffect> effects = [];
        _engine.HandleDatagram(2, DnsWriter.Write(message), from, _now, effects);
        _trace.AddRange(effects.Select(effect => (_now, effect)));
    }

    private void RunUntil(TimeSpan end)
    {
        while (_engine.NextDeadline <= end)
        {
            _now = _engine.NextDeadline > _now ? _engine.NextDeadline : _now;
            List<MdnsEffect> effects = [];
            _engine.HandleDeadline(_now, effects);
            _trace.AddRange(effects.Select(effect => (_now, effect)));
        }

        _now = end;
    }

    private IEnumerable<TimeSpan> Responses(int interfaceIndex) =>
        _trace.Where(t => IsResponse(t.Effect) && ((MdnsEffect.Send)t.Effect).InterfaceIndex == interfaceIndex).Select(t => t.At);

    private List<(TimeSpan At, MdnsEffect Effect)> Queries() =>
        [.. _trace.Where(t => t.Effect is MdnsEffect.Send { Message.IsResponse: false })];

    private List<DiscoveredPeer> Sightings() =>
        [.. _trace.Select(t => t.Effect).OfType<MdnsEffect.Sighting>().Select(sighting => sighting.Peer)];

    private static bool IsResponse(MdnsEffect effect) => effect is MdnsEffect.Send { Message.IsResponse: true };
}
