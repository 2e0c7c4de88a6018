using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Lab;

/// <summary>A LAN of the test's own; the daemons' last words go to its output.</summary>
internal static class OwnLan
{
    public static async Task OnAsync(int nodes, ITestOutputHelper output, Func<NodeLan, Task> test)
    {
        Requires.Kernel();
        await using NodeLan lan = await NodeLan.CreateAsync(nodes);
        try
        {
            await test(lan);
        }
        finally
        {
            foreach (LanNode node in lan.Nodes)
            {
                output.WriteLine($"--- {node.Name}\n{node.LogTail(60)}");
            }
        }
    }
}
