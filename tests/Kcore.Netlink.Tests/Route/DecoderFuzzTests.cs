using System.Net;
using Kcore.Netlink.Messages;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Route;

namespace Kcore.Netlink.Tests.Route;

/// <summary>Whatever arrives, a decoder answers with a value or a <see cref="NetlinkException"/>.</summary>
public sealed class DecoderFuzzTests
{
    [Fact]
    public void Mutated_messages_never_cause_another_exception()
    {
        int seed = Environment.TickCount;
        var random = new Random(seed);
        byte[][] samples = Samples();
        int refused = 0;
        for (int round = 0; round < 20_000; round++)
        {
            byte[] bytes = Mutate(samples[random.Next(samples.Length)], random);
            foreach (Action<byte[]> decode in Decoders)
            {
                try
                {
                    decode(bytes);
                }
                catch (NetlinkException)
                {
                    refused++;
                }
                catch (Exception e)
                {
                    Assert.Fail($"seed {seed}, round {round}, {Convert.ToHexString(bytes)}: {e}");
                }
            }
        }

        Assert.True(refused > 0, "no mutation was ever refused, so the mutations are too tame");
    }

    private static readonly Action<byte[]>[] Decoders =
    [
        bytes => Each(bytes, static (in m) => LinkDecoder.Decode(m)),
        bytes => Each(bytes, static (in m) => AddressDecoder.Decode(m)),
        bytes => Each(bytes, static (in m) => NeighbourDecoder.Decode(m)),
        bytes => Each(bytes, static (in m) => RouteDecoder.Decode(m)),
        bytes => Each(bytes, static (in m) => ErrorDecoder.Decode(m)),
        bytes => ChangeDecoder.Decode(bytes, netfilter: false, []),
        bytes => ChangeDecoder.Decode(bytes, netfilter: true, []),
    ];

    private delegate object? Decode(scoped in NetlinkMessage message);

    private static void Each(byte[] bytes, Decode decode)
    {
        var reader = new MessageReader(bytes);
        while (reader.TryRead(out NetlinkMessage message))
        {
            decode(message);
        }
    }

    private static byte[][] Samples()
    {
        var batch = new RouteBatch();
        batch.CreateBridge(new BridgeSpec { Name = "kbr-a", Ageing = TimeSpan.FromMinutes(5) });
        batch.CreateVxlan(new VxlanSpec { Name = "v", Vni = 7, Local = IPAddress.IPv6Loopback, Master = 3, Underlay = 2 });
        batch.AddAltName(3, "a-long-name-of-a-link");
        batch.ReplaceFdbUnicast(3, KernelSandbox.Mac(1), IPAddress.Loopback);
        batch.ReplaceNeighbour(3, IPAddress.IPv6Loopback, KernelSandbox.Mac(1));
        batch.ReplaceAddress(3, IPAddress.Loopback, 24, AddressFlags.NoPrefixRoute);
        batch.AddRoute(new RouteSpec { Destination = IPNetwork.Parse("10.0.0.0/8"), Gateway = IPAddress.Loopback, LinkIndex = 2, Metric = 3 });
        List<byte[]> samples = [.. Enumerable.Range(0, batch.Count).Select(i => batch.Message(i).ToArray())];

        // An error with text and offset; a multipath route; an nftables set element and generation.
        samples.Add(Hex.Bytes("34000000 0200 0003 01000000 00000000 EAFFFFFF 10000000 1000 0500 01000000 00000000 08000100 62616400 08000200 28000000"));
        samples.Add(Hex.Bytes("38000000 1800 0000 00000000 00000000 02000000 FE030001 00000000 14000900 10000000 02000000 08000500 0A000001 08000100 0A000000"));
        samples.Add(Hex.Bytes("20000000 0C0A 0000 00000000 00000000 01000000 0A000100 6B636F726500 0000"));
        samples.Add(Hex.Bytes("2C000000 0F0A 0000 00000000 00000000 00000001 08000100 00000007 08000200 000004D2 08000300 6E667400"));
        return [.. samples];
    }

    private static byte[] Mutate(byte[] sample, Random random)
    {
        byte[] bytes = random.Next(4) == 0 ? sample[..random.Next(sample.Length)] : [.. sample];
        for (int i = random.Next(1, 6); i > 0 && bytes.Length > 0; i--)
        {
            // Half of the mutations hit the low bytes of length fields, which is where readers go astray.
            int at = random.Next(bytes.Length);
            bytes[random.Next(2) == 0 ? at & ~3 : at] = random.Next(3) == 0 ? (byte)random.Next(0, 24) : (byte)random.Next(256);
        }

        return bytes;
    }
}
