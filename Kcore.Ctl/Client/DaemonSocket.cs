using System.Net.Sockets;
using Kcore.Contracts;

namespace Kcore.Ctl.Client;

/// <summary>Opens the daemon's Unix socket and says plainly why that failed.</summary>
internal static class DaemonSocket
{
    private const int ENOENT = 2;
    private const int EACCES = 13;
    private const int ENOTDIR = 20;
    private const int ECONNREFUSED = 111;

    public static Socket Connect(string path)
    {
        UnixDomainSocketEndPoint address;
        try
        {
            address = new UnixDomainSocketEndPoint(path);
        }
        catch (ArgumentException)
        {
            throw CommandFailure.Invalid($"the socket path must have 1 to 107 bytes: '{path}'", "--socket PATH or KCORE_SOCKET");
        }

        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(address);
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw Explain(path, e);
        }
    }

    /// <summary>The daemon is there but does not speak, or went away before it had answered.</summary>
    public static CommandFailure Lost(string path, string what, params string[] details) =>
        new(new Problem(ErrorCode.Unavailable, what, [$"socket: {path}", .. details], "systemctl status kcored"), ExitCode.NotReachable);

    private static CommandFailure Explain(string path, SocketException e) => (e.SocketErrorCode, e.NativeErrorCode) switch
    {
        (SocketError.AccessDenied, _) or (_, EACCES) => new CommandFailure(new Problem(
            ErrorCode.PermissionDenied,
            $"you may not use kcored's socket {path}",
            ["the socket is open to root and to members of the group kcore"],
            "sudo usermod -aG kcore $USER, then log in again; or use sudo")),
        (_, ENOENT or ENOTDIR) or (SocketError.AddressNotAvailable, _) => Down(path, "there is no such socket: kcored is not running here"),
        (SocketError.ConnectionRefused, _) or (_, ECONNREFUSED) => Down(path, "nobody listens on the socket: kcored is not running"),
        _ => Down(path, e.Message),
    };

    private static CommandFailure Down(string path, string why) => new(
        new Problem(ErrorCode.Unavailable, $"cannot reach kcored on {path}", [why], "is kcored running? systemctl status kcored; another socket: --socket PATH or KCORE_SOCKET"),
        ExitCode.NotReachable);
}
