using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Catalog.Facts;

/// <summary>
/// Facts as MessagePack maps with small integer keys: a newer version adds keys, an older one skips them.
/// </summary>
internal static partial class FactCodec
{
    private delegate void Body<T>(MessagePackWriter writer, T fact);

    public static ReadOnlyMemory<byte> Encode(NodeFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(7 + (f.Store == 0 ? 0 : 1) + (f.Drained ? 1 : 0) + (f.DivergedAt == 0 ? 0 : 1) + (f.Wireguard is null ? 0 : 2));
        Text(w, 1, f.Name);
        Address(w, 2, f.Vtep);
        Flag(w, 3, f.VxlanDisabled);
        Text(w, 4, f.Version);
        Number(w, 5, (ulong)f.UnderlayMtu);
        Text(w, 6, f.UnderlayInterface);
        Flag(w, 7, f.Votes);
        if (f.Store != 0)
        {
            Uid(w, 12, f.Store);
        }

        if (f.Drained)
        {
            Flag(w, 13, true);
        }

        if (f.Wireguard is { } wireguard)
        {
            w.WriteUInt64(16);
            w.WriteBinary(wireguard.Key.Bytes);
            Number(w, 17, wireguard.Port);
        }

        if (f.DivergedAt != 0)
        {
            Number(w, 20, f.DivergedAt);
        }
    });

    public static ReadOnlyMemory<byte> Encode(ParticipationFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(f.Reason is null ? 2 : 3);
        Uid(w, 1, f.Network);
        Number(w, 2, (ulong)f.State);
        OptionalText(w, 3, f.Reason);
    });

    public static ReadOnlyMemory<byte> Encode(NicFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(7 + Present(f.Address) + Present(f.Netns) + Present(f.Ifname) + Present(f.Reason) + (f.AllowSpoofing ? 1 : 0));
        Uid(w, 1, f.AttachmentId);
        Uid(w, 2, f.Network);
        Text(w, 3, f.Name);
        Mac(w, 4, f.Mac);
        if (f.Address is not null)
        {
            Address(w, 5, f.Address);
        }

        Number(w, 6, f.LeaseIndex);
        Text(w, 7, f.Device);
        OptionalText(w, 8, f.Netns);
        OptionalText(w, 9, f.Ifname);
        Number(w, 10, (ulong)f.State);
        OptionalText(w, 11, f.Reason);
        if (f.AllowSpoofing)
        {
            Flag(w, 28, true);
        }
    });

    public static ReadOnlyMemory<byte> Encode(ClaimFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(4 + Present(f.Spec) + Present(f.Home));
        Text(w, 1, f.Name);
        Uid(w, 2, f.Uid);
        Stamp(w, 3, f.Created);
        Stamp(w, 4, f.Stamp);
        if (f.Spec is { } spec)
        {
            w.WriteUInt64(5);
            WriteSpec(w, spec);
        }

        if (f.Home is { } home)
        {
            Uid(w, 6, home.Value);
        }
    });

    public static ReadOnlyMemory<byte> Encode(PoolFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(6 + Present(f.Next) + (f.Resting == 0 ? 0 : 1) + (f.Parked == 0 ? 0 : 1));
        Uid(w, 1, f.Network);
        Text(w, 2, f.Name);
        Number(w, 3, f.Vni);
        if (f.Next is not null)
        {
            Address(w, 4, f.Next);
        }

        Number(w, 5, (ulong)f.Size);
        Number(w, 6, (ulong)f.Used);
        Number(w, 7, (ulong)f.Free);
        if (f.Resting != 0)
        {
            Number(w, 8, (ulong)f.Resting);
        }

        if (f.Parked != 0)
        {
            Number(w, 9, (ulong)f.Parked);
        }
    });

    public static ReadOnlyMemory<byte> Encode(ParkedFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(4);
        Uid(w, 1, f.Network);
        Address(w, 2, f.Address);
        Uid(w, 3, f.Node.Value);
        Number(w, 4, f.GrantIndex);
    });

    public static ReadOnlyMemory<byte> Encode(LeaseFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(f.Orphaned ? 8 : 7);
        Uid(w, 1, f.AttachmentId);
        Uid(w, 2, f.Network);
        Address(w, 3, f.Address);
        Mac(w, 4, f.Mac);
        Uid(w, 5, f.Node.Value);
        Text(w, 6, f.NicName);
        Number(w, 7, f.Index);
        if (f.Orphaned)
        {
            Flag(w, 8, true);
        }
    });

    public static ReadOnlyMemory<byte> Encode(AdmissionFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(3);
        Uid(w, 1, f.Node.Value);
        Uid(w, 2, f.Store);
        Text(w, 3, f.Name);
    });

    public static ReadOnlyMemory<byte> Encode(RemovalFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(2);
        Uid(w, 1, f.Node.Value);
        Text(w, 2, f.Name);
    });

    public static ReadOnlyMemory<byte> Encode(MeshFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(2);
        Uid(w, 1, f.Node.Value);
        Address(w, 2, f.Address);
    });

    public static ReadOnlyMemory<byte> Encode(DissolvedFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(1);
        Uid(w, 1, f.Target);
    });

    private static void WriteSpec(MessagePackWriter writer, NetworkSpec spec)
    {
        writer.WriteMapHeader(5 + Present(spec.ExternalIp) + Present(spec.TargetNode) + Present(spec.Uplink) + (spec.Ports.Rules.IsEmpty ? 0 : 1) + (spec.Excluded.Ranges.IsEmpty ? 0 : 1) + (spec.Encryption == Encryption.None ? 0 : 1) + (spec.Reuse == AddressReuse.Never ? 0 : 1) + (spec.EmergencyReserve == 0 ? 0 : 1));
        Number(writer, 1, (ulong)spec.Type);
        Address(writer, 2, spec.Gateway);
        Number(writer, 3, (ulong)spec.PrefixLength);
        if (spec.ExternalIp is not null)
        {
            Address(writer, 4, spec.ExternalIp);
        }

        Number(writer, 5, (ulong)spec.VlanId);
        Flag(writer, 6, spec.OutboundNat);
        OptionalText(writer, 7, spec.TargetNode);
        OptionalText(writer, 8, spec.Uplink);
        if (!spec.Ports.Rules.IsEmpty)
        {
            writer.WriteUInt64(9);
            writer.WriteArrayHeader(spec.Ports.Rules.Length);
            foreach (PublishRule rule in spec.Ports.Rules)
            {
                writer.WriteArrayHeader(4);
                writer.WriteUInt64((ulong)rule.Protocol);
                writer.WriteUInt64((ulong)rule.Port);
                writer.WriteUInt64((ulong)rule.TargetPort);
                writer.WriteString(rule.Nic ?? "");
            }
        }

        if (!spec.Excluded.Ranges.IsEmpty)
        {
            writer.WriteUInt64(10);
            writer.WriteArrayHeader(spec.Excluded.Ranges.Length);
            foreach (AddressRange range in spec.Excluded.Ranges)
            {
                writer.WriteArrayHeader(2);
                writer.WriteUInt64(range.First);
                writer.WriteUInt64(range.Last);
            }
        }

        if (spec.Encryption != Encryption.None)
        {
            Number(writer, 11, (ulong)spec.Encryption);
        }

        if (spec.Reuse != AddressReuse.Never)
        {
            Number(writer, 12, (ulong)spec.Reuse);
        }

        if (spec.EmergencyReserve != 0)
        {
            Number(writer, 13, (ulong)spec.EmergencyReserve);
        }
    }

    private static ReadOnlyMemory<byte> Write<T>(T fact, Body<T> body)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        body(new MessagePackWriter(buffer), fact);
        return buffer.WrittenMemory;
    }

    private static int Present(object? value) => value is null ? 0 : 1;

    private static void Text(MessagePackWriter writer, ulong field, string value)
    {
        writer.WriteUInt64(field);
        writer.WriteString(value);
    }

    private static void OptionalText(MessagePackWriter writer, ulong field, string? value)
    {
        if (value is not null)
        {
            Text(writer, field, value);
        }
    }

    private static void Number(MessagePackWriter writer, ulong field, ulong value)
    {
        writer.WriteUInt64(field);
        writer.WriteUInt64(value);
    }

    private static void Flag(MessagePackWriter writer, ulong field, bool value)
    {
        writer.WriteUInt64(field);
        writer.WriteBoolean(value);
    }

    private static void Address(MessagePackWriter writer, ulong field, IPAddress value)
    {
        writer.WriteUInt64(field);
        writer.WriteBinary(value.GetAddressBytes());
    }

    private static void Mac(MessagePackWriter writer, ulong field, PhysicalAddress value)
    {
        writer.WriteUInt64(field);
        writer.WriteBinary(value.GetAddressBytes());
    }

    private static void Uid(MessagePackWriter writer, ulong field, UInt128 value)
    {
        writer.WriteUInt64(field);
        WriteUid(writer, value);
    }

    private static void WriteUid(MessagePackWriter writer, UInt128 value)
    {
        Span<byte> bytes = stackalloc byte[NodeId.ByteCount];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, value);
        writer.WriteBinary(bytes);
    }

    private static void Stamp(MessagePackWriter writer, ulong field, ClaimStamp value)
    {
        writer.WriteUInt64(field);
        writer.WriteArrayHeader(3);
        writer.WriteUInt64(value.Counter);
        WriteUid(writer, value.Node.Value);
        writer.WriteUInt64(value.ContentHash);
    }
}
