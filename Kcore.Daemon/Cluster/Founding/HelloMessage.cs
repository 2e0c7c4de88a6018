using System.Buffers;
using System.Collections.Immutable;
using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Cluster.Founding;

/// <summary>One start of a node: its epoch, which others take nothing older than, and the number that names it.</summary>
internal readonly record struct KnownStart(uint Epoch, ulong BootNonce)
{
    /// <summary>
    /// Whether a node that is this start has to begin again to be heard: what was known of a start that is not this one is
    /// not older. A copy of the node's disk ran, and is gone.
    /// </summary>
    public bool IsOvertakenBy(KnownStart known) => known.BootNonce != BootNonce && known.Epoch >= Epoch;
}

/// <summary>What two nodes with one key tell each other when they meet: who they are and which cluster they are in.</summary>
/// <param name="Cluster">Null while the node is in none.</param>
/// <param name="Virgin">The cluster has never committed a network or lease, so it may give itself up.</param>
/// <param name="Endpoint">Where the sender's own stream port is, so that a meeting is known on both sides.</param>
/// <param name="Ended">Clusters the sender saw give themselves up, for members of them that nobody could tell any more.</param>
internal sealed record HelloMessage(string Name, ClusterRef? Cluster, bool Virgin, IPEndPoint Endpoint, ImmutableArray<Guid> Ended = default)
{
    /// <summary>More than a node meets while a cluster forms are not told.</summary>
    public const int EndedMax = 32;

    /// <summary>Which start of the sender this is; 0 when it does not say.</summary>
    public ulong BootNonce { get; init; }

    /// <summary>Where the sender has heard of another start of the receiver. Null when of none.</summary>
    public IPEndPoint? Twin { get; init; }

    /// <summary>The latest start of the receiver that the sender, answering, has heard of. Null when of none.</summary>
    public KnownStart? Known { get; init; }

    /// <summary>The sender's cluster has removed the receiver.</summary>
    public bool Removed { get; init; }

    /// <summary>The sender's cluster gives addresses out, as far as the sender can tell.</summary>
    public bool Decides { get; init; }

    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(96);
        var writer = new MessagePackWriter(buffer);
        writer.WriteMapHeader(
            (Cluster is null ? 4 : 6) + (Twin is null ? 0 : 1) + (Known is null ? 0 : 2) + (Ended.IsDefaultOrEmpty ? 0 : 1) + (Removed ? 1 : 0) + (Decides ? 1 : 0));
        writer.WriteUInt64(1);
        writer.WriteString(Name);
        writer.WriteUInt64(2);
        writer.WriteBoolean(Virgin);
        writer.WriteUInt64(5);
        writer.WriteString(Endpoint.ToString());
        writer.WriteUInt64(6);
        writer.WriteUInt64(BootNonce);
        if (Twin is not null)
        {
            writer.WriteUInt64(7);
            writer.WriteString(Twin.ToString());
        }

        if (Known is { } known)
        {
            writer.WriteUInt64(9);
            writer.WriteUInt64(known.Epoch);
            writer.WriteUInt64(10);
            writer.WriteUInt64(known.BootNonce);
        }

        if (Cluster is { } cluster)
        {
            writer.WriteUInt64(3);
            writer.WriteBinary(cluster.Id.ToByteArray(bigEndian: true));
            writer.WriteUInt64(4);
            writer.WriteUInt64(cluster.Epoch);
        }

        if (!Ended.IsDefaultOrEmpty)
        {
            writer.WriteUInt64(8);
            writer.WriteArrayHeader(Math.Min(Ended.Length, EndedMax));
            foreach (Guid ended in Ended.Take(EndedMax))
            {
                writer.WriteBinary(ended.ToByteArray(bigEndian: true));
            }
        }

        if (Removed)
        {
            writer.WriteUInt64(11);
            writer.WriteBoolean(true);
        }

        if (Decides)
        {
            writer.WriteUInt64(12);
            writer.WriteBoolean(true);
        }

        return buffer.WrittenMemory;
    }

    /// <exception cref="WireFormatException">Not a hello.</exception>
    public static HelloMessage Decode(ReadOnlySpan<byte> bytes)
    {
        string name = "";
        bool virgin = false, removed = false, decides = false;
        Guid? cluster = null;
        uint epoch = 0;
        uint? knownEpoch = null;
        ulong? knownNonce = null;
        ImmutableArray<Guid> ended = default;
        ulong nonce = 0;
        IPEndPoint? endpoint = null, twin = null;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(16); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: name = reader.ReadString(WireLimits.NameBytes); break;
                case 2: virgin = reader.ReadBoolean(); break;
                case 3: cluster = ReadGuid(ref reader); break;
                case 4: epoch = reader.ReadUInt32(); break;
                case 5: endpoint = IPEndPoint.TryParse(reader.ReadString(64), out IPEndPoint? read) ? read : null; break;
                case 6: nonce = reader.ReadUInt64(); break;
                case 7: twin = IPEndPoint.TryParse(reader.ReadString(64), out IPEndPoint? other) ? other : null; break;
                case 8:
                    var ids = new Guid[reader.ReadArrayHeader(EndedMax)];
                    for (int i = 0; i < ids.Length; i++)
                    {
                        ids[i] = ReadGuid(ref reader);
                    }

                    ended = [.. ids];
                    break;
                case 9: knownEpoch = reader.ReadUInt32(); break;
                case 10: knownNonce = reader.ReadUInt64(); break;
                case 11: removed = reader.ReadBoolean(); break;
                case 12: decides = reader.ReadBoolean(); break;
                default: reader.Skip(); break;
            }
        }

        return new HelloMessage(
            name,
            cluster is { } id ? new ClusterRef(id, epoch) : null,
            virgin,
            endpoint is { Port: > 0 } ? endpoint : throw new WireFormatException("a hello without an endpoint"),
            ended)
        {
            BootNonce = nonce,
            Removed = removed,
            Decides = decides,
            Twin = twin is { Port: > 0 } ? twin : null,
            Known = knownEpoch is { } e && knownNonce is { } n ? new KnownStart(e, n) : null,
        };
    }

    internal static Guid ReadGuid(ref MessagePackReader reader)
    {
        ReadOnlySpan<byte> bytes = reader.ReadBinary(16);
        return bytes.Length == 16 ? new Guid(bytes, bigEndian: true) : throw new WireFormatException("not a 128-bit id");
    }
}
