using System.Net.Security;

namespace Kcore.Daemon.Cluster.Streams;

/// <summary>A TLS stream to another node whose plain writes never wait; one reader and one writer at a time.</summary>
internal sealed class PeerStream : SslStream
{
    private readonly EagerSocket _socket;

    /// <param name="socket">Owned from now on.</param>
    public PeerStream(EagerSocket socket)
        : base(socket, leaveInnerStreamOpen: false) => _socket = socket;

    /// <summary>Written and not yet taken by the kernel; whoever does not await his writes looks at it.</summary>
    public int WaitingBytes => _socket.WaitingBytes;

    /// <summary>Ends both directions: whoever reads or writes finds the stream over. Any thread.</summary>
    public void Abort() => _socket.Abort();
}
