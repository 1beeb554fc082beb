-- For the scripts that read by index. They change nothing, so replicas can run
-- them. `wanted_gen` is the generation, or '' for the present one. They return
-- {'page', version, generation, place to go on or false, ..}.
include 'lib/layout'
if wanted_gen ~= '' then generation(wanted_gen) end
local back = order_of ~= ''
local out = {'page', str(ver), gen, false}
