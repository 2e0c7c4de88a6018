using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Kcore.Netlink.Interop;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Route;

public sealed partial class RouteSocket
{
    private const int DumpTriesMax = 16;
    private const ushort ExtendedMask = 29;
    private const uint SkipStatistics = 1 << 3;

    /// <summary>How often a dump was started again because the table changed under it, since the socket was opened.</summary>
    public long DumpRestarts { get; private set; }

    private delegate void RequestBody(ref MessageWriter writer);

    private delegate T? Decoder<out T>(scoped in NetlinkMessage message)
        where T : class;

    /// <summary>All links, or those of a kind, or the ports of a bridge.</summary>
    /// <param name="kind">IFLA_INFO_KIND, such as "vxlan".</param>
    /// <exception cref="NetlinkException">EAGAIN when the table kept changing during 16 readings.</exception>
    public IReadOnlyList<LinkInfo> DumpLinks(string? kind = null, int? master = null) =>
        Dump("read the links", Nlm.GetLink, Nlm.NewLink, LinkDecoder.Decode, (ref writer) =>
        {
            writer.Take(Ifla.BodyBytes);
            writer.PutUInt32(ExtendedMask, SkipStatistics);
            if (master is { } index)
            {
                writer.PutInt32(Ifla.Master, index);
            }

            if (kind is not null)
            {
                NestToken info = writer.BeginNested(Ifla.LinkInfo);
                writer.PutString(Ifla.InfoKind, kind);
                writer.EndNested(info);
            }
        });

    /// <summary>One link by its name or alternative name; null when there is none.</summary>
    public LinkInfo? FindLink(string name)
    {
        LinkName.CheckAlternative(name);
        return Get("read a link", Nlm.GetLink, Nlm.NewLink, LinkDecoder.Decode, Errno.ENODEV, (ref writer) =>
        {
            writer.Take(Ifla.BodyBytes);
            writer.PutUInt32(ExtendedMask, SkipStatistics);
            writer.PutString(LinkName.IsValid(name) ? Ifla.Name : Ifla.AlternativeName, name);
        });
    }

    /// <summary>One link by its index; null when there is none.</summary>
    public LinkInfo? FindLink(int linkIndex)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(linkIndex);
        return Get("read a link", Nlm.GetLink, Nlm.NewLink, LinkDecoder.Decode, Errno.ENODEV, (ref writer) =>
        {
            BinaryPrimitives.WriteInt32LittleEndian(writer.Take(Ifla.BodyBytes)[4..], linkIndex);
            writer.PutUInt32(ExtendedMask, SkipStatistics);
        });
    }

    /// <summary>IPv4 and IPv6 addresses, of all links or of one.</summary>
    public IReadOnlyList<AddressInfo> DumpAddresses(int? linkIndex = null) =>
        Dump("read the addresses", Nlm.GetAddress, Nlm.NewAddress, AddressDecoder.Decode, (ref writer) =>
            BinaryPrimitives.WriteInt32LittleEndian(writer.Take(Ifa.BodyBytes)[4..], linkIndex ?? 0));

    /// <summary>ARP (IPv4) or NDP (IPv6) entries, of all links or of one.</summary>
    public IReadOnlyList<NeighbourInfo> DumpNeighbours(AddressFamily family, int? linkIndex = null) =>
        Dump("read the neighbours", Nlm.GetNeighbour, Nlm.NewNeighbour, NeighbourDecoder.Decode, (ref writer) =>
        {
            writer.Take(Nda.BodyBytes)[0] = Number(family);
            if (linkIndex is { } index)
            {
                writer.PutInt32(Nda.LinkIndex, index);
            }
        });

    /// <summary>
    /// Forwarding entries of all bridges and VXLAN devices, or of one link: a VXLAN port yields the entries of its own
    /// table (<see cref="NeighbourFlags.Self"/>) and those of its bridge that point to it.
    /// </summary>
    public IReadOnlyList<NeighbourInfo> DumpFdb(int? linkIndex = null) =>
        Dump("read the forwarding entries", Nlm.GetNeighbour, Nlm.NewNeighbour, NeighbourDecoder.Decode, (ref writer) =>
        {
            Span<byte> body = writer.Take(Nda.BodyBytes);
            body[0] = Family.Bridge;
            BinaryPrimitives.WriteInt32LittleEndian(body[4..], linkIndex ?? 0);
        });

    /// <summary>
    /// The same by link, or for one link alone: of those where nothing changed since an earlier look, what that look gave.
    /// </summary>
    /// <param name="last">What an earlier look gave.</param>
    public IReadOnlyDictionary<int, LinkForwarding> DumpForwarding(IReadOnlyDictionary<int, LinkForwarding> last, int? linkIndex = null)
    {
        Dictionary<int, ArrayBufferWriter<byte>> gathered = [];
        Dump<NeighbourInfo>(
            "read the forwarding entries",
            Nlm.GetNeighbour,
            Nlm.NewNeighbour,
            (scoped in message) =>
            {
                LinkForwarding.Gather(message, gathered);
                return null;
            },
            (ref writer) =>
            {
                // The table may have changed during an earlier attempt.
                gathered.Clear();
                Span<byte> body = writer.Take(Nda.BodyBytes);
                body[0] = Family.Bridge;
                BinaryPrimitives.WriteInt32LittleEndian(body[4..], linkIndex ?? 0);
            });
        return gathered.ToDictionary(g => g.Key, g => LinkForwarding.Of(g.Value.WrittenSpan, last.GetValueOrDefault(g.Key)));
    }

    /// <summary>All routes of a family, or those of a table; a table that was never used has none.</summary>
    public IReadOnlyList<RouteInfo> DumpRoutes(AddressFamily family, uint? table = null)
    {
        try
        {
            return Dump("read the routes", Nlm.GetRoute, Nlm.NewRoute, RouteDecoder.Decode, (ref writer) =>
            {
                writer.Take(Rta.BodyBytes)[0] = Number(family);
                if (table is { } number)
                {
                    writer.PutUInt32(Rta.Table, number);
                }
            });
        }
        catch (NetlinkException e) when (e.Errno == Errno.ENOENT && table is not null)
        {
            return [];
        }
    }

    /// <summary>The route a packet to this address would take; null when it would not leave.</summary>
    public RouteInfo? FindRoute(IPAddress destination)
    {
        byte family = Number(destination.AddressFamily);
        try
        {
            return Get("look a route up", Nlm.GetRoute, Nlm.NewRoute, RouteDecoder.Decode, Errno.ENETUNREACH, (ref writer) =>
            {
                Span<byte> body = writer.Take(Rta.BodyBytes);
                body[0] = family;
                body[1] = family == Family.Inet ? (byte)32 : (byte)128;
                writer.PutAddress(Rta.Destination, destination);
            });
        }
        catch (NetlinkException e) when (e.Errno is Errno.EHOSTUNREACH or Errno.EACCES or Errno.EINVAL)
        {
            // Routes of kind unreachable, prohibit and blackhole answer a lookup with these.
            return null;
        }
    }

    private static byte Number(AddressFamily family) => family switch
    {
        AddressFamily.InterNetwork => Family.Inet,
        AddressFamily.InterNetworkV6 => Family.Inet6,
        _ => throw new ArgumentOutOfRangeException(nameof(family)),
    };

    private IReadOnlyList<T> Dump<T>(
        string operation, ushort request, ushort answer, Decoder<T> decode, RequestBody body)
        where T : class
    {
        for (int attempt = 0; attempt < DumpTriesMax; attempt++)
        {
            Send(request, Nlm.Dump, body);
            if (ReadDump(operation, answer, decode) is { } items)
            {
                return items;
            }

            DumpRestarts++;
        }

        throw new NetlinkException(operation, new NetlinkError(Errno.EAGAIN, "the table changes faster than it can be read"));
    }

    /// <summary>Reads answers up to NLMSG_DONE; null when the table changed meanwhile (NLM_F_DUMP_INTR).</summary>
    /// <remarks>
    /// A malformed answer does not stop the reading: a dump left half-read would make the kernel refuse the next with EBUSY.
    /// </remarks>
    private List<T>? ReadDump<T>(string operation, ushort answer, Decoder<T> decode)
        where T : class
    {
        List<T> items = [];
        bool interrupted = false;
        NetlinkException? failure = null;
        while (true)
        {
            int received = NetlinkHandle.Receive(_handle, _receive);
            var reader = new MessageReader(_receive.AsSpan(0, received));
            while (reader.TryRead(out NetlinkMessage message))
            {
                ThrowIfOverrun(message);
                if (message.Sequence != _sequence)
                {
                    continue;
                }

                interrupted |= (message.Flags & Nlm.DumpInterrupted) != 0;
                if (message.Type is Nlm.Done or Nlm.Error)
                {
                    if (failure is not null)
                    {
                        throw failure;
                    }

                    if (ErrorDecoder.Decode(message) is { } error)
                    {
                        throw new NetlinkException(operation, error);
                    }

                    return interrupted ? null : items;
                }

                try
                {
                    if (message.Type == answer && decode(message) is { } item)
                    {
                        items.Add(item);
                    }
                }
                catch (NetlinkException e)
                {
                    failure ??= e;
                }
            }
        }
    }

    private T? Get<T>(
        string operation, ushort request, ushort answer, Decoder<T> decode, Errno absent, RequestBody body)
        where T : class
    {
        Send(request, 0, body);
        while (true)
        {
            int received = NetlinkHandle.Receive(_handle, _receive);
            var reader = new MessageReader(_receive.AsSpan(0, received));
            while (reader.TryRead(out NetlinkMessage message))
            {
                ThrowIfOverrun(message);
                if (message.Sequence != _sequence)
                {
                    continue;
                }

                if (message.Type == answer)
                {
                    return decode(message);
                }

                if (message.Type == Nlm.Error)
                {
                    NetlinkError error = ErrorDecoder.Decode(message)
                        ?? throw NetlinkException.Malformed("an acknowledgement came in place of an answer");
                    return error.Errno == absent ? null : throw new NetlinkException(operation, error);
                }
            }
        }
    }

    private void Send(ushort type, ushort flags, RequestBody body)
    {
        Span<byte> buffer = stackalloc byte[512];
        var writer = new MessageWriter(buffer, type, (ushort)(flags | Nlm.Request));
        body(ref writer);
        writer.Finish();
        BinaryPrimitives.WriteUInt32LittleEndian(buffer[8..], ++_sequence);
        NetlinkHandle.Send(_handle, buffer[..writer.Length]);
    }
}
