using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip;

namespace Kcore.Daemon.Cluster.Streams;

/// <summary>Opens mutually authenticated TLS 1.3 streams to other nodes.</summary>
internal sealed class PeerConnector(ClusterTls trust, TimeProvider time)
{
    private static readonly TimeSpan ConnectLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan ReplyLimit = TimeSpan.FromSeconds(15);

    /// <summary>Sends one request and hands the answer back frame by frame.</summary>
    /// <exception cref="IOException">The peer was not reached, is not of this cluster's key, or broke off.</exception>
    public async IAsyncEnumerable<(NodeId Peer, StreamFrame Frame)> RequestAsync(
        IPEndPoint endpoint, StreamKind kind, ReadOnlyMemory<byte> body, [EnumeratorCancellation] CancellationToken token)
    {
        await using PeerStream tls = await ConnectAsync(endpoint, token);
        var peer = new NodeId(TlsOptions.PeerOf(tls));
        using var limit = new CancellationTokenSource(ReplyLimit, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        await Guard(() => StreamFrame.WriteAsync(tls, new StreamFrame(kind, Last: true, body), both.Token), token);
        while (true)
        {
            StreamFrame? frame = await Guard(() => StreamFrame.ReadAsync(tls, both.Token).AsTask(), token);
            if (frame is not { } piece)
            {
                throw new IOException($"{endpoint} broke off its answer");
            }

            yield return (peer, piece);
            if (piece.Last)
            {
                yield break;
            }
        }
    }

    /// <summary>Sends one request whose answer is a single frame.</summary>
    /// <exception cref="IOException">As for <see cref="RequestAsync"/>.</exception>
    public async Task<(NodeId Peer, ReadOnlyMemory<byte> Body)> CallAsync(
        IPEndPoint endpoint, StreamKind kind, ReadOnlyMemory<byte> body, CancellationToken token)
    {
        await foreach ((NodeId peer, StreamFrame frame) in RequestAsync(endpoint, kind, body, token))
        {
            return (peer, frame.Body);
        }

        throw new IOException($"{endpoint} gave no answer");
    }

    /// <summary>Opens a stream that stays open, to one certain node and no other. The caller disposes it.</summary>
    /// <param name="endpoint">Where the node listens.</param>
    /// <param name="peer">Who must be there.</param>
    /// <param name="silenceLimit">How long sent bytes may stay unacknowledged before the stream breaks (tcp(7), TCP_USER_TIMEOUT).</param>
    /// <param name="token">Ends the attempt.</param>
    /// <exception cref="IOException">The peer was not reached, or is another one.</exception>
    public Task<PeerStream> OpenAsync(IPEndPoint endpoint, NodeId peer, TimeSpan silenceLimit, CancellationToken token) =>
        ConnectAsync(endpoint, token, peer, silenceLimit);

    /// <summary>
    /// One handshake is about one key. While there are several, a peer that does not hold the active one may hold
    /// another.
    /// </summary>
    private async Task<PeerStream> ConnectAsync(IPEndPoint endpoint, CancellationToken token, NodeId? expected = null, TimeSpan? silenceLimit = null)
    {
        ImmutableArray<uint> keys = trust.DialKeys;
        for (int i = 0; ; i++)
        {
            try
            {
                return await ConnectAsync(endpoint, keys[i], expected, silenceLimit, token);
            }
            catch (IOException e) when (e.InnerException is AuthenticationException && i + 1 < keys.Length)
            {
                // The next key.
            }
        }
    }

    private async Task<PeerStream> ConnectAsync(IPEndPoint endpoint, uint keyId, NodeId? expected, TimeSpan? silenceLimit, CancellationToken token)
    {
        const int IpProtocolTcp = 6;
        const int TcpUserTimeout = 18;
        using var limit = new CancellationTokenSource(ConnectLimit, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        return await Guard(
            async () =>
            {
                var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                PeerStream? tls = null;
                try
                {
                    if (silenceLimit is { } silence)
                    {
                        socket.SetRawSocketOption(IpProtocolTcp, TcpUserTimeout, BitConverter.GetBytes((int)silence.TotalMilliseconds));
                    }

                    await socket.ConnectAsync(endpoint, both.Token);
                    tls = new PeerStream(new EagerSocket(socket));
                    await tls.AuthenticateAsClientAsync(trust.Current.ForClient(expected?.Value, keyId), both.Token);
                    return tls;
                }
                catch
                {
                    socket.Dispose();
                    if (tls is not null)
                    {
                        await tls.DisposeAsync();
                    }

                    throw;
                }
            },
            token);
    }

    /// <summary>All the ways a peer can fail us become one exception; our own cancellation stays what it is.</summary>
    private static async Task<T> Guard<T>(Func<Task<T>> step, CancellationToken token)
    {
        try
        {
            return await step();
        }
        catch (OperationCanceledException e) when (!token.IsCancellationRequested)
        {
            throw new IOException("the peer did not answer in time", e);
        }
        catch (Exception e) when (e is SocketException or AuthenticationException or InvalidDataException or EndOfStreamException)
        {
            throw new IOException(e.Message, e);
        }
    }

    private static async Task Guard(Func<ValueTask> step, CancellationToken token) =>
        await Guard(
            async () =>
            {
                await step();
                return true;
            },
            token);
}
