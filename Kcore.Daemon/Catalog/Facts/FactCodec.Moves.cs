using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Catalog.Facts;

// NICs on their way from one node to another.
internal static partial class FactCodec
{
    public static ReadOnlyMemory<byte> Encode(MoveFact fact) => Write(fact, static (w, f) =>
    {
        w.WriteMapHeader(9 + Present(f.Address) + (f.SourceKnows ? 1 : 0) + (f.TargetKnows ? 1 : 0) + (f.AllowSpoofing ? 1 : 0) + Present(f.Netns) + Present(f.Ifname));
        Uid(w, 1, f.Move);
        Uid(w, 2, f.AttachmentId);
        Uid(w, 3, f.Network);
        Text(w, 4, f.Name);
        Mac(w, 5, f.Mac);
        if (f.Address is not null)
        {
            Address(w, 6, f.Address);
        }

        Uid(w, 7, f.From.Value);
        Uid(w, 8, f.To.Value);
        Number(w, 9, f.Begun);
        Number(w, 10, f.HandedOver);
        if (f.SourceKnows)
        {
            Flag(w, 11, true);
        }

        if (f.TargetKnows)
        {
            Flag(w, 12, true);
        }

        if (f.AllowSpoofing)
        {
            Flag(w, 13, true);
        }

        OptionalText(w, 14, f.Netns);
        OptionalText(w, 15, f.Ifname);
    });

    private static MoveFact DecodeMove(ReadOnlySpan<byte> bytes)
    {
        UInt128? move = null, attachment = null, network = null, from = null, to = null;
        string? name = null, netns = null, ifname = null;
        PhysicalAddress? mac = null;
        IPAddress? address = null;
        ulong begun = 0, handedOver = 0;
        bool sourceKnows = false, targetKnows = false, spoofing = false;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(FieldLimit); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: move = ReadUid(ref reader); break;
                case 2: attachment = ReadUid(ref reader); break;
                case 3: network = ReadUid(ref reader); break;
                case 4: name = reader.ReadString(WireLimits.NameBytes); break;
                case 5: mac = ReadMac(ref reader); break;
                case 6: address = ReadAddress(ref reader); break;
                case 7: from = ReadUid(ref reader); break;
                case 8: to = ReadUid(ref reader); break;
                case 9: begun = reader.ReadUInt64(); break;
                case 10: handedOver = reader.ReadUInt64(); break;
                case 11: sourceKnows = reader.ReadBoolean(); break;
                case 12: targetKnows = reader.ReadBoolean(); break;
                case 13: spoofing = reader.ReadBoolean(); break;
                case 14: netns = reader.ReadString(TextBytes); break;
                case 15: ifname = reader.ReadString(DeviceName.MaxLength); break;
                default: reader.Skip(); break;
            }
        }

        return new MoveFact(
            Need(move), Need(attachment), Need(network), Need(name), Need(mac), address, new NodeId(Need(from)), new NodeId(Need(to)), begun, handedOver, sourceKnows, targetKnows)
        {
            AllowSpoofing = spoofing,
            Netns = netns,
            Ifname = ifname,
        };
    }
}
