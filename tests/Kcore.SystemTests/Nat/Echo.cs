using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.SystemTests.Nat;

/// <summary>A server in a guest that says its guest's name to whoever asks.</summary>
internal sealed class Echo : IAsyncDisposable
{
    private const string Question = "who is there\n";

    private readonly BackgroundProcess _process;

    private Echo(BackgroundProcess process) => _process = process;

    public static Echo Tcp(Guest guest, int port, string directory) => Start(guest, $"TCP-LISTEN:{port},fork,reuseaddr", directory);

    public static Echo Udp(Guest guest, int port, string directory) => Start(guest, $"UDP-RECVFROM:{port},fork", directory);

    /// <summary>Null when the server answered, else what happened.</summary>
    public static async Task<string?> AskAsync(string netns, string address)
    {
        CommandResult result = await Command.RunAsync(
            "ip", ["netns", "exec", netns, "socat", "-T", "2", "-t", "2", "-", $"{address}{(address.StartsWith("TCP", StringComparison.Ordinal) ? ",connect-timeout=2" : "")}"], input: Question);
        return result.Stdout == Question ? null : result.ToString();
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static Echo Start(Guest guest, string listen, string directory) => new(BackgroundProcess.Start(
        "ip", ["netns", "exec", guest.Namespace, "socat", listen, "EXEC:/bin/cat"], Path.Combine(directory, $"echo-{guest.Name}.log")));
}
