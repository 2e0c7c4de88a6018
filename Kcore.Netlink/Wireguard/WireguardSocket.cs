using System.Buffers.Binary;
using System.Net.Sockets;
using Kcore.Netlink.Interop;
using Kcore.Netlink.Messages;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;

namespace Kcore.Netlink.Wireguard;

/// <summary>
/// Reads and sets the kernel's own WireGuard devices (generic netlink family "wireguard") in the namespace it was opened in.
/// </summary>
/// <remarks>Usable from any thread, by one caller at a time.</remarks>
public sealed class WireguardSocket : IDisposable
{
    private const int BufferBytes = 128 * 1024;

    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(30);

    private readonly SafeSocketHandle _handle;
    private readonly byte[] _send = new byte[BufferBytes];
    private readonly byte[] _receive = new byte[BufferBytes];
    private ushort _family;
    private uint _sequence;

    private WireguardSocket(SafeSocketHandle handle) => _handle = handle;

    private delegate bool Answer(scoped in NetlinkMessage message);

    /// <summary>Opens a socket in the namespace of the calling thread.</summary>
    /// <exception cref="NetlinkException">ENOENT when the kernel has no WireGuard, or has not loaded it: making a device loads it.</exception>
    public static WireguardSocket Open()
    {
        SafeSocketHandle handle = NetlinkHandle.Open(NetlinkHandle.ProtocolGeneric, [], BufferBytes);
        var socket = new WireguardSocket(handle);
        try
        {
            NetlinkHandle.SetOption(handle, LibC.SOL_NETLINK, LibC.NETLINK_EXT_ACK, 1, "ask for error texts");
            NetlinkHandle.SetOption(handle, LibC.SOL_NETLINK, LibC.NETLINK_CAP_ACK, 1, "ask for short acknowledgements");
            NetlinkHandle.SetTimeouts(handle, AnswerLimit);
            socket.FindFamily();
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Opens a socket in another namespace.</summary>
    public static WireguardSocket Open(NetworkNamespace ns) => ns.Run(Open);

    /// <exception cref="NetlinkException">ENODEV when there is no such device, EOPNOTSUPP when it is of another kind.</exception>
    public WireguardInfo Read(string device)
    {
        var seen = new WireguardInfo(default, 0, []);
        Ask("read the WireGuard device", WireguardMessages.GetDevice(_send, _family, device), (scoped in message) =>
        {
            seen = WireguardMessages.Merge(seen, message);
            return false;
        });
        return seen;
    }

    /// <exception cref="NetlinkException">The kernel refused; of several hundred peers some may have been set.</exception>
    public void Change(string device, WireguardChange change)
    {
        WireguardPeerChange[][] parts = change.Peers.IsEmpty ? [[]] : [.. change.Peers.Chunk(WireguardMessages.PeersPerMessageMax)];
        for (int i = 0; i < parts.Length; i++)
        {
            WireguardChange part = i == 0 ? change with { Peers = [.. parts[i]] } : new WireguardChange { Peers = [.. parts[i]] };
            Ask("set the WireGuard device", WireguardMessages.SetDevice(_send, _family, device, part), static (scoped in _) => false);
        }
    }

    public void Dispose() => _handle.Dispose();

    private void FindFamily() => Ask("find WireGuard in the kernel", WireguardMessages.GetFamily(_send), (scoped in message) =>
    {
        _family = WireguardMessages.FamilyId(message);
        return true;
    });

    /// <summary>Sends one request and takes its answers until the last, which is an acknowledgement, an end of dump, or what the caller calls so.</summary>
    private void Ask(string operation, ReadOnlySpan<byte> request, Answer answer)
    {
        uint sequence = ++_sequence;
        BinaryPrimitives.WriteUInt32LittleEndian(_send.AsSpan(8), sequence);
        NetlinkHandle.Send(_handle, request);
        while (true)
        {
            int received = NetlinkHandle.Receive(_handle, _receive);
            var reader = new MessageReader(_receive.AsSpan(0, received));
            while (reader.TryRead(out NetlinkMessage message))
            {
                if (message.Sequence != sequence)
                {
                    continue;
                }

                if (message.Type is Nlm.Error or Nlm.Done)
                {
                    if (ErrorDecoder.Decode(message) is { } error)
                    {
                        throw new NetlinkException(operation, error);
                    }

                    return;
                }

                if (answer(message))
                {
                    return;
                }
            }
        }
    }
}
