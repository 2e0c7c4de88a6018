using System.Buffers;
using System.Collections.Immutable;
using Kcore.Gossip;
using Kcore.Gossip.Wire;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>Which keys a node holds and which it seals with: names only. Every node states its own in the catalog.</summary>
internal sealed record KeyHolding(ImmutableArray<KeyName> Held, KeyName Active)
{
    /// <summary>Number of the fact in the catalog (see <c>FactKind</c>).</summary>
    public const ushort Kind = 32;

    /// <summary>Key of the fact within its origin.</summary>
    public const string Key = "k";

    public KeyName Newest => Held.Max();

    public bool Holds(uint id) => Held.Any(k => k.Id == id);

    public bool Equals(KeyHolding? other) => other is not null && Active == other.Active && Held.SequenceEqual(other.Held);

    public override int GetHashCode() => HashCode.Combine(Active, Held.Length);

    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(64);
        var writer = new MessagePackWriter(buffer);
        writer.WriteMapHeader(2);
        writer.WriteUInt64(1);
        writer.WriteUInt64(Active.Id);
        writer.WriteUInt64(2);
        writer.WriteArrayHeader(Held.Length);
        foreach (KeyName key in Held)
        {
            writer.WriteArrayHeader(2);
            writer.WriteUInt64(key.Id);
            writer.WriteUInt64(key.Generation);
        }

        return buffer.WrittenMemory;
    }

    /// <summary>Null when the entry is something else, or says something that cannot be.</summary>
    public static KeyHolding? Read(CatalogEntry entry)
    {
        if (entry.Kind != Kind || entry.Key != Key || entry.IsTombstone || entry.Origin == NodeId.Raft)
        {
            return null;
        }

        try
        {
            return Decode(entry.Value.Span);
        }
        catch (WireFormatException)
        {
            return null;
        }
    }

    private static KeyHolding? Decode(ReadOnlySpan<byte> bytes)
    {
        uint active = 0;
        var held = new SortedSet<KeyName>();
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(16); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: active = reader.ReadUInt32(); break;
                case 2:
                    for (int keys = reader.ReadArrayHeader(KeyRing.MaxSecrets); keys > 0; keys--)
                    {
                        if (reader.ReadArrayHeader(2) != 2)
                        {
                            return null;
                        }

                        uint id = reader.ReadUInt32();
                        held.Add(new KeyName((uint)reader.ReadUInt64(KeyName.MaxGeneration), id));
                    }

                    break;
                default: reader.Skip(); break;
            }
        }

        return held.Any(k => k.Id == active) ? new KeyHolding([.. held], held.Last(k => k.Id == active)) : null;
    }
}
