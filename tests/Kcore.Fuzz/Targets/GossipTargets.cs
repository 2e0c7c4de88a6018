using Kcore.Fuzz.Mutators;
using Kcore.Gossip;
using Kcore.Gossip.Wire;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Fuzz.Targets;

/// <summary>What arrives at the gossip port and on gossip streams.</summary>
internal static class GossipTargets
{
    public static readonly Func<FuzzTarget>[] All = [Opener, Datagram, StreamRequest, StreamReply, Entry, Value];

    private static readonly Lazy<GossipRecorder> Heard = new(GossipRecorder.Record);

    // Whoever sends these holds no key: at most 64 KiB may be allocated, and nothing may open that was not sealed.
    private static FuzzTarget Opener()
    {
        const ulong self = 5;
        var scope = new ClusterScope(5, 1);
        byte[] secret = [.. Enumerable.Repeat((byte)9, ClusterSecret.Size)];
        var sealer = new DatagramSealer(77, new BootId(3, 4), new KeyRing(new ClusterSecret(secret)), scope);
        byte[][] samples = [.. Heard.Value.Datagrams.Take(64).Select(payload => Sealed(sealer, payload))];
        var genuine = samples.Select(Convert.ToHexString).ToHashSet();
        byte[] plaintext = new byte[DatagramHeader.MaxPlaintext];
        TimeSpan now = TimeSpan.Zero;
        DatagramOpener opener = New();
        return new FuzzTarget("datagram-opener", new ByteMutator(isBigEndian: true), samples, bytes =>
        {
            now += TimeSpan.FromMilliseconds(20);
            DropReason reason = opener.TryOpen(bytes, plaintext, now, out OpenedDatagram opened);
            bool isGenuine = genuine.Contains(Convert.ToHexString(bytes));
            if (isGenuine && reason is not (DropReason.None or DropReason.Unproven))
            {
                // It was seen before; one that has seen nothing must open it.
                opener.Dispose();
                opener = New();
                reason = opener.TryOpen(bytes, plaintext, now, out opened);
            }

            if (reason is not (DropReason.None or DropReason.Unproven))
            {
                return null;
            }

            if (!isGenuine)
            {
                throw new FuzzFailureException("A forged datagram was opened.", bytes);
            }

            if (reason == DropReason.Unproven && !opener.Admit(opened))
            {
                throw new FuzzFailureException("A sender nobody has met was not admitted.", bytes);
            }

            if (opener.TryOpen(bytes, plaintext, now, out _) is DropReason.None or DropReason.Unproven)
            {
                throw new FuzzFailureException("A datagram was opened twice.", bytes);
            }

            return reason;
        });

        DatagramOpener New() => new(self, new KeyRing(new ClusterSecret(secret)), scope, new OpenerLimits { Sessions = 16, Senders = 16 });
    }

    private static byte[] Sealed(DatagramSealer sealer, byte[] payload)
    {
        byte[] bytes = new byte[payload.Length + DatagramHeader.Overhead];
        sealer.TrySeal(payload, bytes, out _);
        return bytes;
    }

    /// <summary>A fact above a gap, as survivors of its owner show it to each other; the recorded cluster has all its owners.</summary>
    private static byte[] Floating()
    {
        byte[] id = new byte[NodeId.ByteCount];
        GossipRecorder.Id(9).WriteBytes(id);
        CatalogEntry entry = CatalogEntry.Create(GossipRecorder.Id(9), "key-1", 40, 1, EntryFlags.None, new byte[20]);
        byte[] body = [0x93, 0xc4, NodeId.ByteCount, .. id, 7, 0x91, .. entry.Raw.Span];
        return [30, 0, (byte)body.Length, .. body];
    }

    private static FuzzTarget Datagram() => Victim("gossip-datagram", [.. Heard.Value.Datagrams, Floating()], (_, random, bytes) =>
    {
        int from = random.Next(1, 7);
        return new GossipInput.Datagram(GossipRecorder.Id(from), GossipRecorder.At(from), bytes);
    });

    private static FuzzTarget StreamRequest() => Victim(
        "gossip-stream-request",
        Heard.Value.Requests,
        (number, random, bytes) => new GossipInput.StreamRequest(number, GossipRecorder.Id(random.Next(1, 7)), bytes));

    private static FuzzTarget StreamReply() => Victim(
        "gossip-stream-reply",
        Heard.Value.Answers,
        (_, random, bytes) => new GossipInput.StreamReply(random.Next(1, 4), bytes, random.OneIn(3)));

    private static FuzzTarget Entry() => new(
        "catalog-entry",
        new MessagePackMutator(),
        [.. Enumerable.Range(1, 8).Select(i => CatalogEntry.Create(GossipRecorder.Id(i), $"key/{i}", (ulong)i << (i * 7), (ushort)i, (EntryFlags)(i & 1), new byte[i * 11]).Raw.ToArray())],
        bytes => CatalogEntry.TryParse(GossipRecorder.Id(1), bytes, out CatalogEntry? entry) ? entry : null)
    {
        // The record is kept as it came, unknown fields included.
        Write = value => ((CatalogEntry)value).Raw.ToArray(),
    };

    private static FuzzTarget Value() => new(
        "messagepack",
        new MessagePackMutator(),
        [.. Distinct(Heard.Value.Datagrams).Where(payload => payload.Length > 3).Select(payload => payload[3..]).Where(IsOneValue)],
        bytes =>
        {
            new MessagePackReader(bytes).Skip();
            return bytes;
        })
    {
        IsRefusal = exception => exception is WireFormatException,
        AllocationBase = 8 * 1024,
        AllocationPerByte = 0,
    };

    private static bool IsOneValue(byte[] bytes)
    {
        try
        {
            var reader = new MessagePackReader(bytes);
            reader.Skip();
            return reader.End;
        }
        catch (WireFormatException)
        {
            return false;
        }
    }

    // A core that knows some members and facts, and is replaced now and then: hostile peers that hold the key must not
    // make it throw, send what is too long, or answer out of proportion.
    private static FuzzTarget Victim(string name, List<byte[]> heard, Func<long, Chance, byte[], GossipInput> give)
    {
        const int effectsMax = 400;
        GossipCore core = null!;
        List<GossipEffect> effects = [];
        var random = new Chance(3);
        long number = 0;
        TimeSpan now = TimeSpan.Zero;
        return new FuzzTarget(name, new FrameMutator(), Distinct(heard), bytes =>
        {
            long malformed = core.MalformedInputs;
            core.Handle(give(number, random, bytes), now, effects);
            foreach (GossipEffect.Send send in effects.OfType<GossipEffect.Send>())
            {
                if (send.Payload.Length > WireLimits.PayloadBytes)
                {
                    throw new FuzzFailureException($"A datagram of {send.Payload.Length} bytes goes out.", bytes);
                }
            }

            // Only this node writes its own origin (R1, R6).
            if (core.Catalog.Find(GossipRecorder.Id(0))!.Entries.Any(entry => entry.Key is not ("own" or "gone")))
            {
                throw new FuzzFailureException("A peer wrote into the own origin.", bytes);
            }

            if (effects.Count > effectsMax)
            {
                throw new FuzzFailureException($"{bytes.Length} bytes make {effects.Count} effects.", bytes);
            }

            return core.MalformedInputs == malformed ? "taken" : null;
        })
        {
            Prepare = () =>
            {
                if (number++ % 500 == 0)
                {
                    (core, now) = Fresh();
                }

                effects.Clear();
                now += TimeSpan.FromMilliseconds(5);
            },
            AllocationBase = 256 * 1024,
            Cost = 4,
        };
    }

    private static (GossipCore Core, TimeSpan Now) Fresh()
    {
        GossipCore core = GossipRecorder.MakeCore(0);
        List<GossipEffect> effects = [];
        TimeSpan now = TimeSpan.Zero;
        core.Handle(new GossipInput.Put([new LocalWrite("own", 1, new byte[20]), LocalWrite.Remove("gone", 1)]), now, effects);
        int from = 0;
        foreach (byte[] payload in Heard.Value.Datagrams.Take(120))
        {
            now += TimeSpan.FromMilliseconds(5);
            int node = 1 + (from++ % 4);
            core.Handle(new GossipInput.Datagram(GossipRecorder.Id(node), GossipRecorder.At(node), payload), now, effects);
            effects.Clear();
        }

        return (core, now);
    }

    // One of each sequence of frame kinds is material enough.
    private static List<byte[]> Distinct(List<byte[]> payloads)
    {
        HashSet<string> seen = [];
        return [.. payloads.Where(payload => payload.Length > 0 && seen.Add(Kinds(payload)))];
    }

    private static string Kinds(byte[] payload)
    {
        var kinds = new System.Text.StringBuilder();
        for (int at = 0; at + 3 <= payload.Length; at += 3 + ((payload[at + 1] << 8) | payload[at + 2]))
        {
            kinds.Append(payload[at]).Append(' ');
        }

        return kinds.ToString();
    }
}
