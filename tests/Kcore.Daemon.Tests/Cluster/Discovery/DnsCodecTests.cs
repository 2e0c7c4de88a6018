using System.Net;
using Kcore.Daemon.Cluster.Discovery;

namespace Kcore.Daemon.Tests.Cluster.Discovery;

public sealed class DnsCodecTests
{
    internal static readonly Announcement Node = new(
        0xAB, "0123456789abcdef", ClusterId: 0x10, ClusterEpoch: 3, IsVirgin: true, GossipPort: 7946, RaftPort: 7947);

    private static readonly IPAddress Source = IPAddress.Parse("10.0.0.2");

    [Fact]
    public void A_query_stands_byte_for_byte_as_in_RFC_1035()
    {
        byte[] bytes = DnsWriter.Write(new DnsMessage(
            0,
            IsResponse: false,
            [new DnsQuestion(KcoreService.ServiceName, DnsType.Ptr)],
            [new DnsRecord.Pointer(KcoreService.ServiceName, TimeSpan.FromSeconds(100), "x." + KcoreService.ServiceName)],
            []));

        Assert.Equal(
            "0000" + "0000" + "0001" + "0001" + "0000" + "0000"
            + "06" + Hex("_kcore") + "04" + Hex("_udp") + "05" + Hex("local") + "00" + "000C" + "0001"
            + "C00C" + "000C" + "0001" + "00000064" + "0004" + "01" + Hex("x") + "C00C",
            Convert.ToHexString(bytes));
    }

    [Fact]
    public void A_response_flushes_caches_for_what_is_this_nodes_alone_and_fits_a_frame()
    {
        byte[] bytes = DnsWriter.Write(KcoreService.Describe(Node, [Source], KcoreService.TimeToLive));
        string text = Convert.ToHexString(bytes);

        Assert.StartsWith("0000" + "8400" + "0000" + "0001" + "0000" + "0003", text, StringComparison.Ordinal);
        Assert.Contains("000C" + "0001" + "00000078", text, StringComparison.Ordinal);
        Assert.Contains("0021" + "8001" + "00000078", text, StringComparison.Ordinal);
        Assert.Contains("0010" + "8001" + "00000078", text, StringComparison.Ordinal);
        Assert.Contains("0001" + "8001" + "00000078" + "0004" + "0A000002", text, StringComparison.Ordinal);
        Assert.Contains("03" + Hex("v=1") + "12" + Hex("f=0123456789abcdef"), text, StringComparison.Ordinal);
        Assert.InRange(bytes.Length, 100, 512);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_node_reads_back_as_it_was_described(bool founded)
    {
        Announcement node = founded ? Node : Node with { ClusterId = null, ClusterEpoch = 0, IsVirgin = false };
        IPAddress other = IPAddress.Parse("10.0.0.1");
        byte[] bytes = DnsWriter.Write(KcoreService.Describe(node, [other, Source], KcoreService.TimeToLive));

        DiscoveredPeer peer = Assert.Single(Read(bytes));
        Assert.Equal(node, peer.Node);
        Assert.Equal([Source, other], peer.Addresses.ToArray());
        Assert.False(peer.IsGoodbye);
    }

    [Fact]
    public void A_goodbye_is_told_from_an_announcement() =>
        Assert.True(Assert.Single(Read(DnsWriter.Write(KcoreService.Describe(Node, [Source], TimeSpan.Zero)))).IsGoodbye);

    [Fact]
    public void Many_known_answers_are_compressed_into_one_frame()
    {
        DnsRecord[] known =
        [
            .. Enumerable.Range(0, 28).Select(i =>
                new DnsRecord.Pointer(KcoreService.ServiceName, KcoreService.TimeToLive, KcoreService.InstanceName((UInt128)i))),
        ];
        var query = new DnsMessage(0, false, [new DnsQuestion(KcoreService.ServiceName, DnsType.Ptr)], [.. known], []);
        byte[] bytes = DnsWriter.Write(query);

        Assert.InRange(bytes.Length, 1, 1_400);
        Assert.True(DnsReader.TryRead(bytes, out DnsMessage read));
        Assert.Equal(known, read.Answers.ToArray());
        Assert.Equal(query.Questions.ToArray(), read.Questions.ToArray());
    }

    [Theory]
    [InlineData("C00C", "a pointer at itself")]
    [InlineData("C0FF", "a pointer ahead")]
    [InlineData("C00000", "a pointer into the header")]
    [InlineData("0161C00C", "a pointer at its own start")]
    [InlineData("4161", "a reserved label type")]
    [InlineData("3F61", "a label beyond the end")]
    [InlineData("C0", "half a pointer")]
    [InlineData("0161", "a name without an end")]
    public void A_malformed_name_is_refused(string name, string why)
    {
        byte[] bytes = Convert.FromHexString("000000000001000000000000" + name);

        Assert.False(DnsReader.TryRead(bytes, out _), why);
        Assert.False(DnsReader.TryRead([.. bytes, 0, 12, 0, 1], out _), why);
    }

    [Fact]
    public void A_name_longer_than_255_bytes_is_refused_also_when_made_of_pointers()
    {
        // Each question's name is a 60-byte label and then all names before it.
        string label = "3C" + string.Concat(Enumerable.Repeat("61", 60));
        string bytes = "000000000006000000000000" + label + "00" + "000C0001";
        int previous = 12;
        for (int i = 0; i < 5; i++)
        {
            int here = bytes.Length / 2;
            bytes += label + (0xC000 | previous).ToString("X4") + "000C0001";
            previous = here;
        }

        Assert.False(DnsReader.TryRead(Convert.FromHexString(bytes), out _));
    }

    [Fact]
    public void Names_compare_without_case_and_odd_labels_stay_apart()
    {
        byte[] bytes = Convert.FromHexString("000000000002000000000000" + "03" + Hex("A.b") + "00" + "000C0001" + "0141" + "0162" + "00" + "000C8001");

        Assert.True(DnsReader.TryRead(bytes, out DnsMessage message));
        Assert.Equal([new DnsQuestion("a\\046b", DnsType.Ptr), new DnsQuestion("a.b", DnsType.Ptr, WantsUnicast: true)], message.Questions.ToArray());
    }

    [Fact]
    public void Counts_beyond_the_bounds_are_refused_before_anything_is_read()
    {
        Assert.False(DnsReader.TryRead(Convert.FromHexString("0000" + "8400" + "FFFF" + "0000" + "0000" + "0000"), out _));
        Assert.False(DnsReader.TryRead(Convert.FromHexString("0000" + "8400" + "0000" + "FFFF" + "FFFF" + "FFFF"), out _));
        Assert.False(DnsReader.TryRead(new byte[DnsMessage.MaxSize + 1], out _));
        Assert.False(DnsReader.TryRead(new byte[11], out _));
    }

    [Theory]
    [InlineData("v=1", "v=x")]
    [InlineData("n=000000000000000000000000000000ab", "n=ab")]
    [InlineData("n=000000000000000000000000000000ab", "n=000000000000000000000000000000ac")]
    [InlineData("f=0123456789abcdef", "f=")]
    [InlineData("f=0123456789abcdef", "f=0123456789ABCDEF")]
    [InlineData("c=00000000000000000000000000000010", "c=10")]
    [InlineData("e=3", "e=-1")]
    [InlineData("g=1", "g=2")]
    [InlineData("r=7947", "r=0")]
    [InlineData("r=7947", "r=65536")]
    public void A_description_with_a_senseless_value_is_left_out(string entry, string senseless)
    {
        DnsMessage good = KcoreService.Describe(Node, [Source], KcoreService.TimeToLive);
        var text = good.Additional.OfType<DnsRecord.Text>().Single();
        Assert.Contains(entry, text.Strings);
        DnsMessage bad = good with
        {
            Additional = good.Additional.Replace(text, text with { Strings = text.Strings.Replace(entry, senseless) }),
        };

        Assert.Empty(Read(DnsWriter.Write(bad)));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    public void An_address_nobody_can_dial_is_left_out(string address) =>
        Assert.Empty(Read(DnsWriter.Write(KcoreService.Describe(Node, [IPAddress.Parse(address)], KcoreService.TimeToLive))));

    private static string Hex(string ascii) => Convert.ToHexString(System.Text.Encoding.ASCII.GetBytes(ascii));

    private static List<DiscoveredPeer> Read(byte[] bytes)
    {
        Assert.True(DnsReader.TryRead(bytes, out DnsMessage message));
        return [.. KcoreService.ReadPeers(message, Source, "eth0")];
    }
}
