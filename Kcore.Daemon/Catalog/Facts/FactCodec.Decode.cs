using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.Validation;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Catalog.Facts;

internal static partial class FactCodec
{
    private const int TextBytes = 512;
    private const int FieldLimit = 32;

    /// <summary>Reads a fact of the kind <typeparamref name="T"/>; false when another node wrote something we cannot read.</summary>
    public static bool TryDecode<T>(CatalogEntry entry, [NotNullWhen(true)] out T? fact)
        where T : class
    {
        fact = null;
        if (entry.IsTombstone)
        {
            return false;
        }

        try
        {
            object? decoded = (FactKind)entry.Kind switch
            {
                FactKind.Node => DecodeNode(entry.Value.Span),
                FactKind.Participation => DecodeParticipation(entry.Value.Span),
                FactKind.Nic => DecodeNic(entry.Value.Span),
                FactKind.Claim => DecodeClaim(entry.Value.Span),
                FactKind.Pool => DecodePool(entry.Value.Span),
                FactKind.Lease => DecodeLease(entry.Value.Span),
                FactKind.Admission => DecodeAdmission(entry.Value.Span),
                FactKind.Removal => DecodeRemoval(entry.Value.Span),
                FactKind.Parked => DecodeParked(entry.Value.Span),
                FactKind.Move => DecodeMove(entry.Value.Span),
                FactKind.Mesh => DecodeMesh(entry.Value.Span),
                FactKind.Dissolved => DecodeDissolved(entry.Value.Span),
                _ => null,
            };
            fact = decoded as T;
        }
        catch (WireFormatException)
        {
            fact = null;
        }

        return fact is not null;
    }

    private static NodeFact DecodeNode(ReadOnlySpan<byte> bytes)
    {
        string? name = null, version = null, device = null;
        IPAddress? vtep = null;
        bool disabled = false, votes = false, drained = false;
        UInt128 store = 0;
        ulong diverged = 0;
        int mtu = 0;
        WireguardKey? key = null;
        ushort port = 0;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: name = reader.ReadString(WireLimits.NameBytes); break;
                case 2: vtep = ReadAddress(ref reader); break;
                case 3: disabled = reader.ReadBoolean(); break;
                case 4: version = reader.ReadString(64); break;
                case 5: mtu = (int)reader.ReadUInt64(65536); break;
                case 6: device = reader.ReadString(64); break;
                case 7: votes = reader.ReadBoolean(); break;
                case 12: store = ReadUid(ref reader); break;
                case 13: drained = reader.ReadBoolean(); break;
                case 16: key = ReadKey(ref reader); break;
                case 17: port = reader.ReadUInt16(); break;
                case 20: diverged = reader.ReadUInt64(); break;
                default: reader.Skip(); break;
            }
        }

        return new NodeFact(Need(name), Need(vtep), disabled, version ?? "", mtu, device ?? "", votes, store, drained, diverged)
        {
            Wireguard = key is null || port == 0 ? null : new WireguardEndpoint(key, port),
        };
    }

    private static WireguardKey ReadKey(ref MessagePackReader reader) =>
        WireguardKey.TryFrom(reader.ReadBinary(WireguardKey.ByteCount)) ?? throw new WireFormatException("not a WireGuard key");

    private static ParticipationFact DecodeParticipation(ReadOnlySpan<byte> bytes)
    {
        UInt128? network = null;
        ObjectState state = ObjectState.Pending;
        string? reason = null;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: network = ReadUid(ref reader); break;
                case 2: state = (ObjectState)reader.ReadUInt64(255); break;
                case 3: reason = reader.ReadString(TextBytes); break;
                default: reader.Skip(); break;
            }
        }

        return new ParticipationFact(Need(network), state, reason);
    }

    private static NicFact DecodeNic(ReadOnlySpan<byte> bytes)
    {
        UInt128? attachment = null, network = null;
        string? name = null, device = null, netns = null, ifname = null, reason = null;
        PhysicalAddress? mac = null;
        IPAddress? address = null;
        ulong index = 0;
        ObjectState state = ObjectState.Pending;
        bool spoofing = false;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: attachment = ReadUid(ref reader); break;
                case 2: network = ReadUid(ref reader); break;
                case 3: name = reader.ReadString(WireLimits.NameBytes); break;
                case 4: mac = ReadMac(ref reader); break;
                case 5: address = ReadAddress(ref reader); break;
                case 6: index = reader.ReadUInt64(); break;
                case 7: device = reader.ReadString(15); break;
                case 8: netns = reader.ReadString(TextBytes); break;
                case 9: ifname = reader.ReadString(15); break;
                case 10: state = (ObjectState)reader.ReadUInt64(255); break;
                case 11: reason = reader.ReadString(TextBytes); break;
                case 28: spoofing = reader.ReadBoolean(); break;
                default: reader.Skip(); break;
            }
        }

        return new NicFact(Need(attachment), Need(network), Need(name), Need(mac), address, index, Need(device), netns, ifname, state, reason) { AllowSpoofing = spoofing };
    }

    private static ClaimFact DecodeClaim(ReadOnlySpan<byte> bytes)
    {
        string? name = null;
        UInt128? uid = null, home = null;
        ClaimStamp? created = null, stamp = null;
        NetworkSpec? spec = null;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: name = reader.ReadString(WireLimits.NameBytes); break;
                case 2: uid = ReadUid(ref reader); break;
                case 3: created = ReadStamp(ref reader); break;
                case 4: stamp = ReadStamp(ref reader); break;
                case 5: spec = ReadSpec(ref reader); break;
                case 6: home = ReadUid(ref reader); break;
                default: reader.Skip(); break;
            }
        }

        if (spec is not null && (spec.Type == NetworkType.Vxlan) != home is null)
        {
            throw new WireFormatException("an overlay is on no one node, every other network is");
        }

        if (home is not null && !ObjectName.IsValid(Need(name)))
        {
            throw new WireFormatException("not the name of a network");
        }

        return new ClaimFact(Need(name), Need(uid), Need(created), Need(stamp), spec) { Home = home is { } node ? new NodeId(node) : null };
    }

    private static PoolFact DecodePool(ReadOnlySpan<byte> bytes)
    {
        UInt128? network = null;
        string? name = null;
        uint vni = 0;
        IPAddress? next = null;
        ulong size = 0, used = 0, free = 0, resting = 0, parked = 0;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: network = ReadUid(ref reader); break;
                case 2: name = reader.ReadString(WireLimits.NameBytes); break;
                case 3: vni = reader.ReadUInt32(); break;
                case 4: next = ReadAddress(ref reader); break;
                case 5: size = reader.ReadUInt64(uint.MaxValue); break;
                case 6: used = reader.ReadUInt64(uint.MaxValue); break;
                case 7: free = reader.ReadUInt64(uint.MaxValue); break;
                case 8: resting = reader.ReadUInt64(uint.MaxValue); break;
                case 9: parked = reader.ReadUInt64(uint.MaxValue); break;
                default: reader.Skip(); break;
            }
        }

        return new PoolFact(Need(network), Need(name), vni, next, (long)size, (long)used, (long)free, (long)resting, (long)parked);
    }

    private static LeaseFact DecodeLease(ReadOnlySpan<byte> bytes)
    {
        UInt128? attachment = null, network = null, node = null;
        IPAddress? address = null;
        PhysicalAddress? mac = null;
        string? name = null;
        ulong index = 0;
        bool orphaned = false;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: attachment = ReadUid(ref reader); break;
                case 2: network = ReadUid(ref reader); break;
                case 3: address = ReadAddress(ref reader); break;
                case 4: mac = ReadMac(ref reader); break;
                case 5: node = ReadUid(ref reader); break;
                case 6: name = reader.ReadString(WireLimits.NameBytes); break;
                case 7: index = reader.ReadUInt64(); break;
                case 8: orphaned = reader.ReadBoolean(); break;
                default: reader.Skip(); break;
            }
        }

        return new LeaseFact(Need(attachment), Need(network), Need(address), Need(mac), new NodeId(Need(node)), Need(name), index, orphaned);
    }

    private static AdmissionFact DecodeAdmission(ReadOnlySpan<byte> bytes)
    {
        UInt128? node = null, store = null;
        string? name = null;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: node = ReadUid(ref reader); break;
                case 2: store = ReadUid(ref reader); break;
                case 3: name = reader.ReadString(WireLimits.NameBytes); break;
                default: reader.Skip(); break;
            }
        }

        return new AdmissionFact(new NodeId(Need(node)), Need(store), Need(name));
    }

    private static RemovalFact DecodeRemoval(ReadOnlySpan<byte> bytes)
    {
        UInt128? node = null;
        string? name = null;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: node = ReadUid(ref reader); break;
                case 2: name = reader.ReadString(WireLimits.NameBytes); break;
                default: reader.Skip(); break;
            }
        }

        return new RemovalFact(new NodeId(Need(node)), Need(name));
    }

    private static ParkedFact DecodeParked(ReadOnlySpan<byte> bytes)
    {
        UInt128? network = null, node = null;
        IPAddress? address = null;
        ulong index = 0;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: network = ReadUid(ref reader); break;
                case 2: address = ReadAddress(ref reader); break;
                case 3: node = ReadUid(ref reader); break;
                case 4: index = reader.ReadUInt64(); break;
                default: reader.Skip(); break;
            }
        }

        return new ParkedFact(Need(network), Need(address), new NodeId(Need(node)), index);
    }

    private static MeshFact DecodeMesh(ReadOnlySpan<byte> bytes)
    {
        UInt128? node = null;
        IPAddress? address = null;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: node = ReadUid(ref reader); break;
                case 2: address = ReadAddress(ref reader); break;
                default: reader.Skip(); break;
            }
        }

        return MeshPool.Contains(Need(address))
            ? new MeshFact(new NodeId(Need(node)), address!)
            : throw new WireFormatException("not an address of the mesh");
    }

    private static DissolvedFact DecodeDissolved(ReadOnlySpan<byte> bytes)
    {
        UInt128? target = null;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            if (reader.ReadUInt64() == 1)
            {
                target = ReadUid(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }

        return new DissolvedFact(Need(target));
    }

    private static NetworkSpec ReadSpec(ref MessagePackReader reader)
    {
        NetworkType type = NetworkType.Nat;
        IPAddress? gateway = null, external = null;
        int prefix = 0, vlan = 0;
        bool nat = false;
        string? target = null, uplink = null;
        PortRules ports = PortRules.None;
        AddressRanges excluded = AddressRanges.None;
        Encryption encryption = Encryption.None;
        AddressReuse reuse = AddressReuse.Never;
        int reserve = 0;
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: type = (NetworkType)reader.ReadUInt64(255); break;
                case 2: gateway = ReadAddress(ref reader); break;
                case 3: prefix = (int)reader.ReadUInt64(32); break;
                case 4: external = ReadAddress(ref reader); break;
                case 5: vlan = (int)reader.ReadUInt64(4094); break;
                case 6: nat = reader.ReadBoolean(); break;
                case 7: target = reader.ReadString(WireLimits.NameBytes); break;
                case 8: uplink = reader.ReadString(DeviceName.MaxLength); break;
                case 9: ports = ReadPorts(ref reader); break;
                case 10: excluded = ReadRanges(ref reader); break;
                case 11: encryption = (Encryption)reader.ReadUInt64(255); break;
                case 12: reuse = (AddressReuse)reader.ReadUInt64(255); break;
                case 13: reserve = (int)reader.ReadUInt64(NetworkSpec.EmergencyReserveMax); break;
                default: reader.Skip(); break;
            }
        }

        if (uplink is not null && !DeviceName.IsUsable(uplink))
        {
            throw new WireFormatException("not a device name");
        }

        // An encryption this version cannot do must not become none.
        if (!Enum.IsDefined(encryption) || (encryption != Encryption.None && type != NetworkType.Vxlan))
        {
            throw new WireFormatException("not an encryption this version knows");
        }

        if (prefix is < 8 or > 30 || !Enum.IsDefined(type) || !Enum.IsDefined(reuse) || ((reuse != AddressReuse.Never || reserve != 0) && type != NetworkType.Vxlan) || Need(gateway).GetAddressBytes().Length != 4)
        {
            throw new WireFormatException("not a network this version knows");
        }

        var spec = new NetworkSpec
        {
            Type = type,
            Gateway = gateway!,
            PrefixLength = prefix,
            ExternalIp = external,
            VlanId = vlan,
            OutboundNat = nat,
            TargetNode = target,
            Uplink = uplink,
            Ports = ports,
            Excluded = excluded,
            Encryption = encryption,
            Reuse = reuse,
            EmergencyReserve = reserve,
        };
        return excluded.Ranges.All(r => spec.Subnet.Contains(AddressRange.ToAddress(r.First)) && spec.Subnet.Contains(AddressRange.ToAddress(r.Last)))
            ? spec
            : throw new WireFormatException("excludes addresses of another subnet");
    }

    /// <summary>Only the one spelling: what compares unequal must not mean the same.</summary>
    private static AddressRanges ReadRanges(ref MessagePackReader reader)
    {
        var ranges = ImmutableArray.CreateBuilder<AddressRange>();
        for (int left = reader.ReadArrayHeader(AddressRanges.MaxRanges); left > 0; left--)
        {
            if (reader.ReadArrayHeader(2) != 2)
            {
                throw new WireFormatException("not a range");
            }

            var range = new AddressRange(reader.ReadUInt32(), reader.ReadUInt32());
            ranges.Add(range.First <= range.Last ? range : throw new WireFormatException("a range ends before it begins"));
        }

        ImmutableArray<AddressRange> read = ranges.DrainToImmutable();
        var joined = AddressRanges.Of(read);
        return joined.IsWithinBounds && joined.Ranges.AsSpan().SequenceEqual(read.AsSpan())
            ? joined
            : throw new WireFormatException("ranges out of order or too many addresses");
    }

    private static PortRules ReadPorts(ref MessagePackReader reader)
    {
        var rules = ImmutableArray.CreateBuilder<PublishRule>();
        for (int left = reader.ReadArrayHeader(PortRules.Max); left > 0; left--)
        {
            if (reader.ReadArrayHeader(4) != 4)
            {
                throw new WireFormatException("not a port rule");
            }

            var protocol = (TransportProtocol)reader.ReadUInt64(255);
            int port = reader.ReadUInt16();
            int targetPort = reader.ReadUInt16();
            string nic = reader.ReadString(WireLimits.NameBytes);
            if (!Enum.IsDefined(protocol) || port == 0 || targetPort == 0 || (nic.Length > 0 && !ObjectName.IsValid(nic)))
            {
                throw new WireFormatException("not a port");
            }

            rules.Add(new PublishRule(protocol, port, nic.Length == 0 ? null : nic, targetPort));
        }

        return new PortRules(rules.DrainToImmutable());
    }

    private static ClaimStamp ReadStamp(ref MessagePackReader reader)
    {
        if (reader.ReadArrayHeader(3) != 3)
        {
            throw new WireFormatException("not a stamp");
        }

        return new ClaimStamp(reader.ReadUInt64(WireLimits.MaxVersion), new NodeId(ReadUid(ref reader)), reader.ReadUInt64());
    }

    private static UInt128 ReadUid(ref MessagePackReader reader)
    {
        ReadOnlySpan<byte> bytes = reader.ReadBinary(NodeId.ByteCount);
        return bytes.Length == NodeId.ByteCount
            ? BinaryPrimitives.ReadUInt128BigEndian(bytes)
            : throw new WireFormatException("not a 128-bit id");
    }

    private static IPAddress ReadAddress(ref MessagePackReader reader)
    {
        ReadOnlySpan<byte> bytes = reader.ReadBinary(16);
        return bytes.Length is 4 or 16 ? new IPAddress(bytes) : throw new WireFormatException("not an IP address");
    }

    private static PhysicalAddress ReadMac(ref MessagePackReader reader)
    {
        ReadOnlySpan<byte> bytes = reader.ReadBinary(6);
        return bytes.Length == 6 ? new PhysicalAddress(bytes.ToArray()) : throw new WireFormatException("not a MAC address");
    }

    private static T Need<T>(T? value)
        where T : class => value ?? throw new WireFormatException("a field is missing");

    private static T Need<T>(T? value)
        where T : struct => value ?? throw new WireFormatException("a field is missing");
}
