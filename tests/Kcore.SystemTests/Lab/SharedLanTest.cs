using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Lab;

/// <summary>A test on the shared LAN. The daemons' words of its time go to its output, which is shown when it fails.</summary>
[Collection(ThreeNodes.Name)]
public abstract class SharedLanTest(ThreeNodes three, ITestOutputHelper output) : IAsyncLifetime
{
    private const int MostLines = 60;
    private readonly Dictionary<string, int> _linesBefore = new(StringComparer.Ordinal);

    protected ThreeNodes Three { get; } = three;

    protected NodeLan Lan => Three.Lan;

    protected LanNode A => Three.A;

    protected LanNode B => Three.B;

    protected LanNode C => Three.C;

    protected ITestOutputHelper Output { get; } = output;

    public Task InitializeAsync() => Task.CompletedTask;

    /// <summary>First line of every test.</summary>
    protected async Task ReadyAsync()
    {
        await Three.ReadyAsync();
        foreach (LanNode node in Lan.Nodes)
        {
            _linesBefore[node.LogPath] = Lines(node).Length;
        }
    }

    public Task DisposeAsync()
    {
        foreach ((string path, int before) in _linesBefore)
        {
            Output.WriteLine($"--- {Path.GetFileName(Path.GetDirectoryName(path))}");
            foreach (string line in File.ReadAllLines(path).Skip(before).TakeLast(MostLines))
            {
                Output.WriteLine(line);
            }
        }

        return Task.CompletedTask;
    }

    private static string[] Lines(LanNode node) => File.Exists(node.LogPath) ? File.ReadAllLines(node.LogPath) : [];
}
